"""The Ray runner: the same function for each film, on the machines of a cluster."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_cluster import start_two_nodes
from talkies.core import UsageError
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import EmbedRunner, VectorIndex, embed

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.ranks,
]  # Ray's own warnings are not ours


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with a core each, on this machine."""
    with start_two_nodes() as address:
        yield address


def tables(library: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (library / "catalogue").glob("*.parquet")}


def test_a_cluster_of_two_nodes_makes_the_library_that_one_machine_makes(
    address: str, films: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.mp4").write_text("no film at all")
    sources = [films, tmp_path / "letter.mp4"]
    seen = []
    clustered = ingest(
        sources, tmp_path / "clustered", workers=2, runner="ray", address=address,
        on_progress=lambda progress, outcome: seen.append((progress.films_done, outcome)),
    )  # fmt: skip
    alone = ingest(sources, tmp_path / "alone", workers=1)
    assert len(tables(tmp_path / "alone")) == 3
    assert tables(tmp_path / "clustered") == tables(tmp_path / "alone")
    assert [film.verdict for film in clustered.films] == [film.verdict for film in alone.films]
    assert [film.source for film in clustered.films] == [film.source for film in alone.films]
    assert max(done for done, outcome in seen if outcome is not None) == 4


def test_embeddings_of_a_cluster_are_those_of_one_machine(
    address: str, library: Library, run: Path, tmp_path: Path
) -> None:
    here, there = (Path(shutil.copytree(library.root, tmp_path / name)) for name in ("here", "there"))
    stamp = embed(here, run).entry.stamp
    # One film at a time would have both cores of this machine, and no node has two.
    report = embed(there, run, runner=EmbedRunner("ray", 1, address))
    assert report.films == 3
    mine, theirs = (VectorIndex(Library.open(root)).read_rows(stamp) for root in (here, there))
    assert mine.start_B.tolist() == theirs.start_B.tolist()
    assert abs(mine.video_BD - theirs.video_BD).max() < 1e-5
    assert abs(mine.audio_BD - theirs.audio_BD).max() < 1e-5


def test_both_nodes_of_a_cluster_work(address: str) -> None:
    ray.init(address=address, log_to_driver=False)
    try:
        assert len([node for node in ray.nodes() if node["Alive"]]) == 2
        assert ray.cluster_resources()["CPU"] == 2
    finally:
        ray.shutdown()


def test_without_ray_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, films: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UsageError, match=r"the ray runner needs Ray; install it with: pip install 'talkies\[cluster\]'"
    ):
        ingest([films], tmp_path / "library", runner="ray")


def test_where_no_cluster_listens_one_sentence_says_so(films: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no Ray cluster answers at 127.0.0.1:1 \(connection refused\); start one with"
    ):
        ingest([films], tmp_path / "library", runner="ray", address="127.0.0.1:1")


def test_an_unknown_runner_is_refused_by_name(films: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown runner 'slurm'; choose local or ray"):
        ingest([films], tmp_path / "library", runner="slurm")
