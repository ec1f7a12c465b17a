"""Fixtures: an embedded library behind a real server on a free port, and behind a client without a network."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from api_client import Client, Served

from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import VectorIndex, embed
from talkies.retrieval.search import Example, Searcher
from talkies.runtime import ProcessLimits
from talkies.web import create_app
from talkies.web.server import create_server, open_socket

UPLOAD_LIMIT_BYTES = 4_000_000


@pytest.fixture(scope="session")
def served_library(library: Library, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of three embedded films and a rejected one; tests may only add uploads to it."""
    root = Path(shutil.copytree(library.root, tmp_path_factory.mktemp("shelf") / "lib"))
    letter = root.parent / "letter.mp4"
    letter.write_text("Dear film, I am a text.")
    embed(root, run)
    return ingest([letter], root).library


@pytest.fixture(scope="session")
def served(served_library: Library, run: Path) -> Iterator[Served]:
    """A real server on a free loopback port, in a thread; it takes uploads up to four megabytes."""
    stamp = VectorIndex(served_library).choose().stamp
    with open_socket("127.0.0.1", 0) as socket:
        server = create_server(create_app(served_library.root, upload_limit_bytes=UPLOAD_LIMIT_BYTES))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        assert server.ready.wait(30)
        yield Served(f"http://127.0.0.1:{socket.getsockname()[1]}", served_library, stamp, run)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def client_of() -> Callable[[Library], Client]:
    """A function from a library to a client of its application."""
    return lambda library: Client(create_app(library.location, upload_limit_bytes=UPLOAD_LIMIT_BYTES))


@pytest.fixture(scope="session")
def client(served_library: Library, client_of: Callable[[Library], Client]) -> Client:
    """A client of the same library as `served`, without a network."""
    return client_of(served_library)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary uploads; it must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    deadline = time.monotonic() + 10
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(folder.iterdir()) == []


@pytest.fixture
def encoded_paths(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files get a made-up embedding without decoding; yields the list of their paths."""
    paths: list[Path] = []

    def encode_made_up(searcher: Searcher, path: Path, name: str, limits: ProcessLimits) -> Example:
        paths.append(path)
        vector = np.full(searcher.entry.dim, searcher.entry.dim**-0.5, np.float32)
        return Example(name, 1.0, searcher.entry.stamp, vector, None)

    monkeypatch.setattr(Searcher, "encode_example", encode_made_up)
    return paths
