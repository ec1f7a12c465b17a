"""Malicious and malformed uploads: each is refused with a message, without filling the disk or blocking others."""

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
from api_client import Client, Served, read_error

from talkies.runtime import ProcessLimits
from talkies.web import uploads

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.usefixtures("temporary"), pytest.mark.slow]
LIMIT_BYTES = 4_000_000
BOUNDARY = b"frontier"
ONE_FILE = "an upload is a form (multipart/form-data) with one file in a field named 'file'"


def build_part(name: bytes = b'name="file"; filename="x.wav"', content: bytes = b"x") -> bytes:
    return b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + name + b"\r\n\r\n" + content + b"\r\n"


def build_form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def post(client: Client, body: bytes, kind: bytes = b"multipart/form-data; boundary=" + BOUNDARY) -> httpx.Response:
    return client.request("POST", "/api/uploads", content=body, headers={"content-type": kind})


def connect(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def build_head(served: Served, *more: str) -> bytes:
    lines = [
        "POST /api/uploads HTTP/1.1",
        f"Host: {served.url.removeprefix('http://')}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def read_answer(connection: socket.socket) -> bytes:
    parts = []
    while piece := connection.recv(65536):
        parts.append(piece)
        if b'"}' in piece:
            break
    return b"".join(parts)


def test_more_than_the_limit_is_refused_at_once(client: Client, encoded_paths: list[Path]) -> None:
    refused = client.upload("x.mp4", bytes(LIMIT_BYTES + 50_000))
    assert read_error(refused, 413) == "an upload may have at most 4 MB; cut out the part that you are looking for"
    assert client.upload("x.mp4", bytes(LIMIT_BYTES)).status_code == 200


@pytest.mark.parametrize("sent", [LIMIT_BYTES + 1, 3 * LIMIT_BYTES])
def test_a_body_without_a_length_is_counted(served: Served, temporary: Path, sent: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield build_part(content=b"").removesuffix(b"\r\n")
        for _ in range(sent // 100_000 + 1):
            yield bytes(100_000)
        yield b"\r\n" + build_form()

    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    refused = httpx.post(f"{served.url}/api/uploads", content=pieces(), headers=kind, timeout=30)
    assert "an upload may have at most 4 MB" in read_error(refused, 413)


def test_a_body_without_an_end_is_refused_and_fills_no_disk(served: Served, temporary: Path) -> None:
    most = [0]
    with connect(served) as connection:
        connection.sendall(build_head(served, "Transfer-Encoding: chunked"))
        first = build_part(content=b"").removesuffix(b"\r\n")
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


def test_a_wrong_content_length_is_not_trusted(served: Served) -> None:
    with connect(served) as connection:  # far too much is announced
        connection.sendall(build_head(served, "Content-Length: 99999999999999999999"))
        assert b" 41" in read_answer(connection) or b" 400 " in read_answer(connection)
    with connect(served) as connection:  # less than there is
        body = build_form(build_part(content=bytes(1000)))
        connection.sendall(build_head(served, "Content-Length: 100") + body)
        assert b" 400 " in read_answer(connection)
    with connect(served) as connection:  # more than there is, and then nothing
        connection.sendall(build_head(served, "Content-Length: 100000") + build_part(content=bytes(1000)))
    with connect(served) as connection:
        connection.sendall(build_head(served, "Content-Length: -5") + b"x")
        assert b" 400 " in read_answer(connection)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (build_form(build_part(), build_part()), ONE_FILE),
        (build_form(build_part(b'name="other"; filename="x"')), ONE_FILE),
        (build_form(build_part(b'name="file"')), ONE_FILE),
        (build_form(build_part(b'filename="x"')), ONE_FILE),
        (build_form(*(build_part(b'name="f%d"' % n) for n in range(5000))), ONE_FILE),
        (build_form(build_part(b'name="file"; filename="x"; ' + b"a" * 100_000)), ONE_FILE),
        (build_part(), "broke off before its end"),
        (b"", "broke off before its end"),
        (b"no form at all " * 100, ONE_FILE),
        (b"--frontier\r\n" + b"A: b\r\n" * 5000, ONE_FILE),
        (build_form(), "cannot be read|broke off"),
        (build_form(b"--frontier\r\n\r\n\r\n"), ONE_FILE),
    ],
    ids=range(12),
)
def test_what_is_not_one_file_is_refused(client: Client, body: bytes, words: str) -> None:
    begun = time.monotonic()
    message = read_error(post(client, body), 400)
    assert any(word in message for word in words.split("|")), message
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
    assert read_error(post(client, build_form(build_part()), kind), 415) == ONE_FILE


def test_an_empty_file_is_refused(client: Client) -> None:
    assert "x.wav is empty" in read_error(client.upload("x.wav", b""), 422)


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
def test_a_file_name_is_only_displayed(
    client: Client, temporary: Path, encoded_paths: list[Path], name: bytes, shown: str
) -> None:
    answer = post(client, build_form(build_part(b'name="file"; filename="' + name + b'"', b"content " + name)))
    assert answer.json()["name"] == shown
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    (path,) = encoded_paths
    assert path.parent.parent == temporary
    assert not set(path.name) & set('<>:"/\\|?*%')
    assert not path.name.startswith((".", "-"))


def test_a_stalled_upload_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkies.web.multipart._STALL_SECONDS", 0.3)
    monkeypatch.setattr("talkies.web.multipart._DRAIN_SECONDS", 0.1)
    with connect(served) as connection:
        connection.sendall(build_head(served, "Content-Length: 100000") + build_part(content=bytes(1000)))
        message = read_answer(connection)
        assert b" 408 " in message
        assert b"stalled" in message


def test_too_many_uploads_at_once_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_MAX_PENDING", 2)
    waiting = [connect(served) for _ in range(2)]
    for connection in waiting:
        connection.sendall(build_head(served, "Content-Length: 100000") + build_part(content=bytes(1000)))
    time.sleep(0.3)
    with connect(served) as connection:
        connection.sendall(build_head(served, "Content-Length: 100000"))
        message = read_answer(connection)
        assert b" 429 " in message
        assert b"try again in a minute" in message
    for connection in waiting:
        connection.close()
    time.sleep(0.3)
    files = {"file": ("x.wav", b"")}
    assert "is empty" in read_error(httpx.post(f"{served.url}/api/uploads", files=files), 422)


@pytest.mark.parametrize("decoder", ["crash", "hang", "exhaust_memory"])
def test_a_decoder_that_crashes_hangs_or_exhausts_memory_is_reported(
    client: Client, monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("talkies.retrieval.search.example.read_query_file", getattr(hostile_decoders, decoder))
    limits = ProcessLimits(stall_seconds=2 if decoder == "hang" else 30, total_seconds=30, memory_bytes=400_000_000)
    monkeypatch.setattr(uploads, "_LIMITS", limits)
    words = {
        "crash": "the decoder crashed (SIGSEGV)",
        "hang": "made no progress",
        "exhaust_memory": "of memory; the limit is",
    }
    message = read_error(client.upload("hostile.mp4", b"hostile " + decoder.encode()), 422)
    assert words[decoder] in message
    assert client.get("/api/library").status_code == 200


def build_bomb() -> bytes:
    """A picture file of a few kilobytes that says it has 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_001 * 3000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_bombs_garbage_and_playlists_are_refused(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/part.ts"
        for name, content in {
            "bomb.png": build_bomb(),
            "garbage.mp4": np.random.default_rng(1).bytes(50_000),
            "playlist.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        }.items():
            answer = client.upload(name, content)
            assert name in read_error(answer, 422)
            assert "temporary" not in answer.text, name
        with pytest.raises(TimeoutError):  # a playlist is not followed to where it points
            elsewhere.accept()


@pytest.mark.real_data
def test_awkward_media_are_encoded_or_refused_with_a_message(real_data: Path, client: Client) -> None:
    for name in ("bear_with_picture.flac", "sample-with-large-length.avi"):
        path = real_data / "awkward" / f"androidx-media__{name}"
        answer = client.upload(path.name, path.read_bytes())
        assert answer.status_code == 200 or read_error(answer, 422), name
