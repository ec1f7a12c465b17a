"""An ingest that is killed again and again builds the same library as one that is not; a small `make soak`."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import av
import psutil
import pytest

from kills import contents, differences, kill_rounds
from talkies.core import WorkError
from talkies.ingestion import IngestReport, ingest
from talkies.library import FilmRecord

pytestmark = pytest.mark.kills

WriteFilm = Callable[..., Path]
ROUNDS = 3  # `make soak` kills a hundred times
# Two ingests that nobody killed can differ too: x264's bytes hang on what fresh memory holds, and of the shortest film
# here it makes 10,559 or 10,560 bytes that decode to the same pictures (LOG.md, 2026-11-28).
HOLDS_THE_SIZE_OF_A_PROXY = ("/proxy.mp4 is another", "/film.json is another", "/films.parquet is another")


@pytest.fixture(scope="module")
def folder(films: Path, write_film: WriteFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three films, one of them twice, one that is no film, and one without sound."""
    made = tmp_path_factory.mktemp("to be killed")
    shutil.copy(films / "film-000.mp4", made / "long.mp4")
    write_film(made / "a.mkv", 1.5, seed=1)
    write_film(made / "b.mkv", 4.0, seed=2)
    shutil.copy(made / "b.mkv", made / "z.mkv")
    (made / "letter.mp4").write_text("Dear reader, this is no film.\n" * 40)
    write_film(made / "mute.mkv", 2.0, sound=None)
    return made


def workers() -> list[psutil.Process]:
    """Return the isolated processes of this very process."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            found += [child] if "talkies.runtime.isolated" in child.cmdline() else []
    return found


@contextmanager
def killing(times: int, what_shows: Callable[[], bool]) -> Iterator[list[int]]:
    """Kill a worker whenever it is there and something shows, so many times; yield the numbers of the killed."""
    killed: list[int] = []
    over = threading.Event()

    def strike() -> None:
        while len(killed) < times and not over.is_set():
            for worker in workers():
                if worker.pid not in killed and what_shows():
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.append(worker.pid)
            time.sleep(0.002)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def records(report: IngestReport) -> list[FilmRecord]:
    """Return the films' records without the size of their files."""
    return [film.record.model_copy(update={"stored_bytes": 0}) for film in report.films]


def pictures(library: Path) -> dict[str, list[bytes]]:
    """Return every proxy's pictures by the proxy's path."""
    found = {}
    for path in library.glob("films/*/proxy.mp4"):
        with av.open(path) as container:
            found[str(path.relative_to(library))] = [
                frame.to_ndarray().tobytes() for frame in container.decode(video=0)
            ]
    return found


def test_killed_at_random_and_at_bad_moments_it_comes_to_the_same_library(folder: Path, tmp_path: Path) -> None:
    report = kill_rounds(folder, tmp_path, ROUNDS, Random(5))
    assert report.faults == []
    assert report.count >= ROUNDS
    assert report.runs > report.rounds


def test_a_worker_that_somebody_killed_costs_no_verdict_and_no_picture(folder: Path, tmp_path: Path) -> None:
    def converting() -> bool:
        return any((tmp_path / "killed" / "films").glob(".partial-*/film/proxy.mp4"))

    peaceful = ingest([folder], tmp_path / "peaceful")
    with killing(2, converting) as killed:
        report = ingest([folder], tmp_path / "killed")
    assert len(killed) == 2
    assert records(report) == records(peaceful)
    changed = differences(contents(tmp_path / "peaceful"), contents(tmp_path / "killed"))
    assert [change for change in changed if not change.endswith(HOLDS_THE_SIZE_OF_A_PROXY)] == []
    assert pictures(tmp_path / "peaceful") == pictures(tmp_path / "killed")


def test_a_worker_killed_three_times_over_one_film_is_a_failure_and_no_verdict(folder: Path, tmp_path: Path) -> None:
    with killing(3, lambda: True):
        report = ingest([folder / "a.mkv", folder / "b.mkv"], tmp_path / "lib")
    assert [failure.message for failure in report.failures] == [
        "a.mkv could not be ingested: the worker process was killed (SIGKILL), 3 times; is there enough memory?"
    ]
    assert [film.source.name for film in report.films] == ["b.mkv"]
    assert [film.name for film in report.library.films()] == ["b.mkv"]
    with pytest.raises(WorkError, match=r"3 times; is there enough memory\?; run the command again to continue$"):
        report.check()
    again = ingest([folder / "a.mkv", folder / "b.mkv"], tmp_path / "lib")
    assert [(film.record.usable, film.reused) for film in again.films] == [(True, False), (True, True)]


def test_a_difference_of_one_byte_one_file_or_one_empty_folder_is_seen(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "films").mkdir(parents=True)
        (tmp_path / name / "catalogue.parquet").write_text("rows")
        (tmp_path / name / "films" / "proxy.mp4").write_text("pictures")
    assert differences(contents(tmp_path / "one"), contents(tmp_path / "other")) == []
    (tmp_path / "other" / "catalogue.parquet").write_text("raws")
    (tmp_path / "other" / "films" / "proxy.mp4").rename(tmp_path / "other" / "films" / ".proxy.mp4")
    (tmp_path / "other" / ".partial").mkdir()
    assert differences(contents(tmp_path / "one"), contents(tmp_path / "other")) == [
        "films/proxy.mp4 is missing",
        ".partial/ is left over",
        "films/.proxy.mp4 is left over",
        "catalogue.parquet is another",
    ]
