"""`talkies serve` as a person starts and stops it, and many clients at once."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_client import Served

from talkies.cli.main import main
from talkies.core import UsageError
from talkies.library import Library
from talkies.retrieval.index import embed
from talkies.web import serve
from talkies.web.server import build_url, is_local, open_socket

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.slow]


@contextmanager
def run_server(
    library: Path, *more: str, begin: tuple[str, ...] = (sys.executable, "-m", "talkies")
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run `talkies serve` in a process of its own; yield the process and its JSON document."""
    command = [*begin, "serve", "--library", str(library), "--port", "0", "--json", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()[1]
        yield process, json.loads("".join(lines))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_url_and_stops_at_a_signal(served_library: Library, which: signal.Signals) -> None:
    with run_server(served_library.root) as (process, document):
        assert (document["library"], document["this_machine_alone"]) == (str(served_library.root), True)
        film = served_library.usable_films()[0].film_id
        with httpx.Client(base_url=document["url"], timeout=60) as client:
            assert client.get("/").status_code == 200
            assert client.get(f"/api/search?film={film}&at=1&floor=false").json()["hits"]
            start = time.monotonic()
            process.send_signal(which)  # a connection is open still
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
        assert time.monotonic() - start < 8


def test_serve_stops_while_answers_are_unfinished(served_library: Library) -> None:
    film = served_library.usable_films()[0].film_id
    slow = "import sys, time, talkies.web.films as films; films.compute_peaks = lambda *_: time.sleep(40)"
    code = f"{slow}; from talkies.cli.main import main; main()"
    with run_server(served_library.root, begin=(sys.executable, "-c", code)) as (process, document):
        asking = threading.Thread(target=_ask, args=(f"{document['url']}api/films/{film}",))
        asking.start()
        time.sleep(1.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        asking.join()
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - start < 15


def _ask(url: str) -> None:
    with suppress(httpx.HTTPError):
        httpx.get(url, timeout=60)


def test_a_host_beyond_this_machine_is_said_to_be_open_to_all(library: Library) -> None:
    with run_server(library.root, "--host", "0.0.0.0") as (process, document):
        assert document["this_machine_alone"] is False
        port = httpx.URL(document["url"]).port
        assert httpx.get(f"http://127.0.0.1:{port}/api/library", timeout=60).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/", headers={"host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert err == ("anyone who reaches 0.0.0.0 over the network can watch and search these films without a password\n")


def test_only_this_machine_is_listened_to_unless_another_is_named(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with socket.socket() as outside:
        outside.bind(("127.0.0.2", 0))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_port_in_use_is_reported(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["talkies", "serve", "--library", str(library.root), "--port", str(port)])
        with pytest.raises(SystemExit) as left:
            main()
    assert left.value.code == 2
    message = f"talkies: cannot listen on port {port}: it is in use; choose another with --port\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("host", ["no such host", "host.invalid", "203.0.113.7", "x" * 300])
def test_a_host_of_another_machine_is_reported(library: Library, host: str) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on .*; name an address of this machine with --host"):
        serve(library.root, host, 0)


def test_urls_can_be_opened_by_a_browser() -> None:
    assert build_url("127.0.0.1", 8017) == "http://127.0.0.1:8017/"
    assert build_url("::1", 8017) == "http://[::1]:8017/"
    assert build_url("0.0.0.0", 80) == build_url("::", 80) == "http://localhost:80/"
    assert build_url("films.local", 8017) == "http://films.local:8017/"
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.5", "films.local")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_many_clients_search_and_play_at_once(served: Served) -> None:
    films = served.library.usable_films()
    errors: list[str] = []

    def use(number: int) -> None:
        chance = random.Random(number)
        with httpx.Client(base_url=served.url, timeout=60) as client:
            for _ in range(6):
                film = chance.choice(films).film_id
                first = chance.randrange(100_000)
                sizes = {"range": f"bytes={first}-{first + 50_000}"}
                answers = (
                    client.get(f"/api/search?film={film}&at={chance.uniform(0, 11)}&floor=false"),
                    client.get(f"/media/{film}.mp4", headers=sizes),
                    client.get(f"/api/films/{film}/frame.jpg?at={chance.uniform(0, 11)}"),
                    client.get(f"/api/films/{film}/strip.jpg?count={chance.randrange(1, 12)}"),
                )
                errors.extend(answer.text[:200] for answer in answers if answer.status_code not in (200, 206))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_library_is_read_while_another_process_embeds_it(
    library: Library, run: Path, tmp_path: Path, client_of: Any
) -> None:
    copy = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    film = copy.usable_films()[0].film_id
    client = client_of(copy)
    imports = "import sys; from pathlib import Path; from talkies.retrieval.index import embed"
    program = f"{imports}; embed(sys.argv[1], Path(sys.argv[2]), 0.25)"
    command = [sys.executable, "-c", program, str(copy.root), str(run)]
    seen: set[tuple[int, int]] = set()
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            document = client.get("/api/library").json()
            answer = client.get(f"/api/search?film={film}&at=1&floor=false&count=100")
            known = answer.status_code == 200 or "embed" in answer.json()["error"]
            assert known, answer.text
            assert client.get(f"/api/films/{film}").status_code == 200
            seen.add((len(document["models"]), answer.status_code))
            time.sleep(0.05)
        assert process.returncode == 0
    assert (0, 404) in seen
    after = client.get(f"/api/search?film={film}&at=1&floor=false&count=100").json()
    assert {hit["film_id"] for hit in after["hits"]} == {film.film_id for film in copy.usable_films()}
    assert embed(copy.root, run, stride_seconds=0.25).clips == 0
