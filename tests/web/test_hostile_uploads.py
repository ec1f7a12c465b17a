"""Uploads that mean harm, or are none: each costs a sentence, no room on the disk, and nobody's time."""

import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import hostile_decoders
import httpx
import numpy as np
import pytest
from asking import Client, Served, sentence

from talkies.runtime import ProcessLimits
from talkies.web import uploads

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.usefixtures("temporary")]
LIMIT_BYTES = 4_000_000
BOUNDARY = b"frontier"
ONE_FILE = "an upload is a form (multipart/form-data) with one file in a field named 'file'"


def part(name: bytes = b'name="file"; filename="x.wav"', content: bytes = b"x") -> bytes:
    return b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + name + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def post(client: Client, body: bytes, kind: bytes = b"multipart/form-data; boundary=" + BOUNDARY) -> httpx.Response:
    return client.request("POST", "/api/uploads", content=body, headers={"content-type": kind})


def connected(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def head(served: Served, *more: str) -> bytes:
    lines = [
        "POST /api/uploads HTTP/1.1",
        f"Host: {served.url.removeprefix('http://')}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def answered(connection: socket.socket) -> bytes:
    parts = []
    while piece := connection.recv(65536):
        parts.append(piece)
        if b'"}' in piece:
            break
    return b"".join(parts)


def test_more_than_the_limit_is_refused_at_once(client: Client, looked_at: list[Path]) -> None:
    refused = client.upload("x.mp4", bytes(LIMIT_BYTES + 50_000))
    assert sentence(refused, 413) == "an upload has at most 4 MB; cut the part out that you look for"
    assert client.upload("x.mp4", bytes(LIMIT_BYTES)).status_code == 200


@pytest.mark.parametrize("sent", [LIMIT_BYTES + 1, 3 * LIMIT_BYTES])
def test_a_body_without_a_length_is_counted(served: Served, temporary: Path, sent: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield part(content=b"").removesuffix(b"\r\n")
        for _ in range(sent // 100_000 + 1):
            yield bytes(100_000)
        yield b"\r\n" + form()

    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    refused = httpx.post(f"{served.url}/api/uploads", content=pieces(), headers=kind, timeout=30)
    assert "an upload has at most 4 MB" in sentence(refused, 413)


def test_a_body_without_an_end_is_refused_and_takes_no_room(served: Served, temporary: Path) -> None:
    most = [0]
    with connected(served) as connection:
        connection.sendall(head(served, "Transfer-Encoding: chunked"))
        first = part(content=b"").removesuffix(b"\r\n")
        connection.sendall(b"%x\r\n%s\r\n" % (len(first), first))
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 20:
                connection.sendall(b"%x\r\n%s\r\n" % (100_000, bytes(100_000)))
                most.append(sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file()))
        except (ConnectionError, FileNotFoundError):
            pass
    assert time.monotonic() - begun < 15
    assert max(most) <= LIMIT_BYTES


def test_a_length_that_is_a_lie_is_not_believed(served: Served) -> None:
    with connected(served) as connection:  # far too much is announced
        connection.sendall(head(served, "Content-Length: 99999999999999999999"))
        assert b" 41" in answered(connection) or b" 400 " in answered(connection)
    with connected(served) as connection:  # less than there is
        body = form(part(content=bytes(1000)))
        connection.sendall(head(served, "Content-Length: 100") + body)
        assert b" 400 " in answered(connection)
    with connected(served) as connection:  # more than there is, and then nothing
        connection.sendall(head(served, "Content-Length: 100000") + part(content=bytes(1000)))
    with connected(served) as connection:
        connection.sendall(head(served, "Content-Length: -5") + b"x")
        assert b" 400 " in answered(connection)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (form(part(), part()), ONE_FILE),
        (form(part(b'name="other"; filename="x"')), ONE_FILE),
        (form(part(b'name="file"')), ONE_FILE),
        (form(part(b'filename="x"')), ONE_FILE),
        (form(*(part(b'name="f%d"' % n) for n in range(5000))), ONE_FILE),
        (form(part(b'name="file"; filename="x"; ' + b"a" * 100_000)), ONE_FILE),
        (part(), "broke off before its end"),
        (b"", "broke off before its end"),
        (b"no form at all " * 100, ONE_FILE),
        (b"--frontier\r\n" + b"A: b\r\n" * 5000, ONE_FILE),
        (form(), "cannot be read|broke off"),
        (form(b"--frontier\r\n\r\n\r\n"), ONE_FILE),
    ],
    ids=range(12),
)
def test_what_is_not_one_file_is_refused(client: Client, body: bytes, words: str) -> None:
    begun = time.monotonic()
    told = sentence(post(client, body), 400)
    assert any(word in told for word in words.split("|")), told
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=" + b"x" * 500,
        b"multipart/mixed; boundary=frontier",
        b"\xff\xfe",
    ],
)
def test_another_kind_of_body_is_refused(client: Client, kind: bytes) -> None:
    assert sentence(post(client, form(part()), kind), 415) == ONE_FILE


def test_an_empty_file_is_refused(client: Client) -> None:
    assert "x.wav is empty" in sentence(client.upload("x.wav", b""), 422)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../../../etc/passwd", "passwd"),
        (b"..\\\\..\\\\boot.ini", "boot.ini"),
        (b"<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        (b'a\\"b\\"; name=\\"c', 'a"b"; name="c'),
        (b"line%0d%0aSet-Cookie: a=b", "line%0d%0aSet-Cookie: a=b"),
        ("Œuvre № 9 – où.wav".encode(), "Œuvre № 9 – où.wav"),
        (b"\xff\xfe\x00\x07bell.wav", "��bell.wav"),
        ("\u202etxt.exe".encode(), "txt.exe"),
        (b"x" * 3000 + b".wav", "x" * 120),
        (b"-rf", "-rf"),
        (b"..", ".."),
        (b"part", "part"),
        (b"concat:a|b", "concat:a|b"),
        (b"", "upload"),
    ],
    ids=range(14),
)
def test_a_name_is_shown_and_nothing_else(
    client: Client, temporary: Path, looked_at: list[Path], name: bytes, shown: str
) -> None:
    answer = post(client, form(part(b'name="file"; filename="' + name + b'"', b"content " + name)))
    assert answer.json()["name"] == shown
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    (path,) = looked_at
    assert path.parent.parent == temporary
    assert not set(path.name) & set('<>:"/\\|?*%')
    assert not path.name.startswith((".", "-"))


def test_an_upload_that_stands_still_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkies.web.multipart._STALL_SECONDS", 0.3)
    monkeypatch.setattr("talkies.web.multipart._DRAIN_SECONDS", 0.1)
    with connected(served) as connection:
        connection.sendall(head(served, "Content-Length: 100000") + part(content=bytes(1000)))
        told = answered(connection)
        assert b" 408 " in told
        assert b"stood still" in told


def test_too_many_at_once_are_told_to_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_MOST_COMING", 2)
    waiting = [connected(served) for _ in range(2)]
    for connection in waiting:
        connection.sendall(head(served, "Content-Length: 100000") + part(content=bytes(1000)))
    time.sleep(0.3)
    with connected(served) as connection:
        connection.sendall(head(served, "Content-Length: 100000"))
        told = answered(connection)
        assert b" 429 " in told
        assert b"try again in a minute" in told
    for connection in waiting:
        connection.close()
    time.sleep(0.3)
    files = {"file": ("x.wav", b"")}
    assert "is empty" in sentence(httpx.post(f"{served.url}/api/uploads", files=files), 422)


@pytest.mark.parametrize("decoder", ["crash", "hang", "eat"])
def test_a_file_at_which_the_decoder_breaks_costs_a_sentence(
    client: Client, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("talkies.retrieval.search.example.read_query_file", getattr(hostile_decoders, decoder))
    limits = ProcessLimits(stall_seconds=2 if decoder == "hang" else 30, total_seconds=30, memory_bytes=400_000_000)
    monkeypatch.setattr(uploads, "_LIMITS", limits)
    words = {"crash": "the decoder crashed (SIGSEGV)", "hang": "made no progress", "eat": "of memory; the limit is"}
    told = sentence(client.upload("hostile.mp4", b"hostile " + decoder.encode()), 422)
    assert words[decoder] in told
    assert client.get("/api/library").status_code == 200


def bomb() -> bytes:
    """A picture file of a few kilobytes that says it has 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_001 * 3000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_files_that_are_not_what_they_seem_are_a_sentence(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/part.ts"
        for name, content in {
            "bomb.png": bomb(),
            "garbage.mp4": np.random.default_rng(1).bytes(50_000),
            "playlist.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        }.items():
            answer = client.upload(name, content)
            assert name in sentence(answer, 422)
            assert "temporary" not in answer.text, name
        with pytest.raises(TimeoutError):  # a playlist is not followed to where it points
            elsewhere.accept()


@pytest.mark.real_data
def test_awkward_media_are_searched_by_or_a_sentence(real_data: Path, client: Client) -> None:
    for name in ("bear_with_picture.flac", "sample-with-large-length.avi"):
        path = real_data / "awkward" / f"androidx-media__{name}"
        answer = client.upload(path.name, path.read_bytes())
        assert answer.status_code == 200 or sentence(answer, 422), name
