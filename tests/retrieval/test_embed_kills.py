"""Embedding that is killed and run again, and searching while another process embeds."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.core import WorkError
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import VectorIndex, embed
from talkies.retrieval.search import Moment, Searcher, SearchQuery
from talkies.synth import SynthConfig, render_films

pytestmark = pytest.mark.kills

SLOWLY = """
import sys, time
from pathlib import Path
from talkies.retrieval.index import embed
embed(sys.argv[1], Path(sys.argv[2]), on_film=lambda film, total: (print(film.film_id, flush=True), time.sleep(0.3)))
"""


@pytest.fixture(scope="module")
def larger(new_shelf: Callable[[], Library], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Library]:
    """A function that returns a library of eight films."""
    folder = tmp_path_factory.mktemp("more")
    render_films(folder, 5, SynthConfig(seconds=3.0), seed=90)

    def make() -> Library:
        shelf = new_shelf()
        ingest([folder], shelf.root)
        return shelf

    return make


def begin(library: Library, run: Path) -> subprocess.Popen[str]:
    """Another process that embeds, and rests after each film."""
    command = [sys.executable, "-c", SLOWLY, str(library.root), str(run)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_killed_again_and_again_it_comes_to_what_an_unbroken_embedding_does(
    larger: Callable[[], Library], run: Path
) -> None:
    whole, broken = larger(), larger()
    stamp = embed(whole.root, run).entry.stamp
    waits = random.Random(5)
    for films in (1, 2):
        with begin(broken, run) as process:
            assert process.stdout is not None
            for _ in range(films):
                process.stdout.readline()
            time.sleep(waits.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
    embed(broken.root, run)
    assert VectorIndex(broken).read_rows(stamp).to_table() == VectorIndex(whole).read_rows(stamp).to_table()
    assert VectorIndex(broken).list_sets() == VectorIndex(whole).list_sets()


def test_another_process_searches_while_films_are_added_and_only_one_adds(
    larger: Callable[[], Library], run: Path
) -> None:
    library = larger()
    with begin(library, run) as process:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        searcher, seen = Searcher(library), set[int]()
        with pytest.raises(WorkError, match=r"another process embeds .* with this model \(stamp .*\); wait until it"):
            embed(library.root, run)
        while process.poll() is None:
            result = searcher.search(SearchQuery(Moment(first, 2.0), count=50, use_threshold=False))
            seen.add(len({hit.film_id for hit in result.hits}))
            time.sleep(0.05)
        assert process.returncode == 0
    result = searcher.search(SearchQuery(Moment(first, 2.0), count=100, use_threshold=False))
    assert len({hit.film_id for hit in result.hits}) == 8
    assert len(seen) > 2  # films came one by one, and were found as they came


def test_a_film_that_left_the_library_leaves_the_set_and_is_no_hit_meanwhile(
    new_shelf: Callable[[], Library], run: Path
) -> None:
    library = new_shelf()
    stamp = embed(library.root, run).entry.stamp
    gone, stays, *_ = library.films()
    searcher = Searcher(library)
    library.remove(gone.id)
    result = searcher.search(SearchQuery(Moment(stays.film_id, 2.0), count=100, use_threshold=False))
    assert gone.film_id not in {hit.film_id for hit in result.hits}
    report = embed(library.root, run)
    assert (report.removed, report.films, report.reused) == (1, 0, 2)
    assert VectorIndex(library).list_films(stamp) == {film.film_id for film in library.films()}
