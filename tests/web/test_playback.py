"""Playback by byte ranges: the right bytes, and nothing from outside the library."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from api_client import Client, Served, read_error
from hypothesis import given
from hypothesis import strategies as st

from talkies.library import FilmEntry, Library
from talkies.web.media import UnsatisfiableRangeError, parse_range

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def film(served_library: Library) -> FilmEntry:
    return served_library.usable_films()[0]


@pytest.fixture
def content(served_library: Library, film: FilmEntry) -> bytes:
    return served_library.proxy_path(film.id).read_bytes()


def test_a_film_is_sent_whole(client: Client, film: FilmEntry, content: bytes) -> None:
    answer = client.get(f"/media/{film.film_id}.mp4")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    head = client.request("HEAD", f"/media/{film.film_id}.mp4")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("100-299", 100, 299), ("5000-", 5000, -1), ("-7", -7, -1), ("0-999999999999999999", 0, -1)],
)
def test_a_range_is_sent(client: Client, film: FilmEntry, content: bytes, asked: str, first: int, last: int) -> None:
    answer = client.get(f"/media/{film.film_id}.mp4", headers={"range": f"bytes={asked}"})
    first, last = first % len(content), last % len(content)
    assert (answer.status_code, answer.content) == (206, content[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=",
        "bytes=-",
        "bytes=-0",
        "bytes=9-3",
        "bytes=a-b",
        "bytes=-1-2",
        "bytes=99999999-",
        "bytes=999999999999999999999999999999-",
        "bytes=0-1,4-5",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(5000)),
        "bytes=" + "1" * 20_000 + "-",
        "bytes=٣-٤",
        "bytes 0-1",
        "bytes=0x10-0x20",
    ],
    ids=lambda text: text[:24],
)
def test_an_invalid_range_is_refused_at_once(client: Client, film: FilmEntry, content: bytes, asked: str) -> None:
    begun = time.monotonic()
    answer = client.get(f"/media/{film.film_id}.mp4", headers={"range": asked.encode()})
    assert "a range of bytes of this film is bytes=FIRST-LAST" in read_error(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(content)}"
    assert time.monotonic() - begun < 1


@given(
    st.text(alphabet="bytes=0123456789-, ", max_size=70)
    | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True),
    st.integers(0, 10**7),
)
def test_a_parsed_range_is_always_inside_the_file(header: str, size: int) -> None:
    try:
        wanted = parse_range(header, size)
    except UnsatisfiableRangeError:
        return
    assert wanted is None or (0 <= wanted.start < wanted.stop <= size and wanted.step == 1)


def test_a_range_in_other_units_is_ignored(client: Client, film: FilmEntry, content: bytes) -> None:
    assert client.get(f"/media/{film.film_id}.mp4", headers={"range": "minutes=1-2"}).content == content


def test_a_part_of_an_older_file_is_not_continued(client: Client, film: FilmEntry, content: bytes) -> None:
    address = f"/media/{film.film_id}.mp4"
    tag = client.get(address).headers["etag"]
    asked = {"range": "bytes=10-19"}
    assert client.get(address, headers={**asked, "if-range": tag}).content == content[10:20]
    assert client.get(address, headers={**asked, "if-range": '"older"'}).content == content
    assert client.get(address, headers={"if-none-match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/library",
        "....//....//library",
        "..%5c..%5clibrary",
        "%252e%252e%252flibrary",
        "/etc/passwd",
        "{film}/../../../library",
        "{film}%00",
        "{film}.mp4/../../x",
        "{upper}",
        "",
    ],
)
def test_no_path_leads_out_of_the_library(served: Served, film: FilmEntry, path: str) -> None:
    path = path.format(film=film.film_id, upper=film.film_id.upper())
    for prefix, suffix in (
        ("/media/", ".mp4"),
        ("/api/films/", "/frame.jpg?at=0"),
        ("/api/films/", ""),
        ("/static/", ""),
    ):
        answer = send_raw_get(served, f"{prefix}{path}{suffix}")
        status = int(answer.split(b" ", 2)[1])
        library = (prefix, path) == ("/api/films/", "")
        assert 400 <= status < 500 or library, answer
        assert b"root:" not in answer
        assert b"schema_version" not in answer


def send_raw_get(served: Served, target: str) -> bytes:
    """The answer to a request whose address no client has tidied."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_a_link_to_outside_the_library_is_not_followed(
    served_library: Library, film: FilmEntry, tmp_path: Path, client_of: Callable[[Library], Client]
) -> None:
    copy = Library.open(shutil.copytree(served_library.root, tmp_path / "lib"))
    client, proxy = client_of(copy), copy.proxy_path(film.id)
    secret = tmp_path / "secret.mp4"
    proxy.rename(secret)
    proxy.symlink_to(secret)
    for address in (f"/media/{film.film_id}.mp4", f"/api/films/{film.film_id}/frame.jpg?at=0"):
        assert "is a link to outside the library, which is not followed" in read_error(client.get(address), 404)
    proxy.unlink()
    os.mkfifo(proxy)
    assert "has no proxy.mp4" in read_error(client.get(f"/media/{film.film_id}.mp4"), 404)
    folder = copy.film_folder(film.id)
    outside = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(outside)
    assert "is a link to outside" in read_error(client.get(f"/media/{film.film_id}.mp4"), 404)


def test_a_library_whose_folder_is_a_link_is_played(
    served_library: Library, film: FilmEntry, content: bytes, tmp_path: Path, client_of: Callable[[Library], Client]
) -> None:
    (tmp_path / "linked").symlink_to(served_library.root)
    assert client_of(Library.open(tmp_path / "linked")).get(f"/media/{film.film_id}.mp4").content == content


def test_a_client_that_disconnects_leaves_no_file_open(served: Served, film: FilmEntry) -> None:
    before = len(psutil.Process().open_files())
    for _ in range(20):
        with httpx.stream("GET", f"{served.url}/media/{film.film_id}.mp4") as answer:
            next(answer.iter_raw(100))
    deadline = time.monotonic() + 5
    while len(psutil.Process().open_files()) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(psutil.Process().open_files()) <= before


def test_slow_clients_do_not_block_others(served: Served, film: FilmEntry) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(60)]
    try:
        for number, connection in enumerate(slow):
            begun = (
                b"GET /api/library HTTP/1.1\r\nHost: x"
                if number % 2
                else f"GET /media/{film.film_id}.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            )
            connection.sendall(begun)  # the others ask for a film, and do not read it
        begun = time.monotonic()
        assert httpx.get(f"{served.url}/api/library").status_code == 200
        assert httpx.get(f"{served.url}/media/{film.film_id}.mp4").status_code == 200
        assert time.monotonic() - begun < 5
    finally:
        for connection in slow:
            connection.close()
