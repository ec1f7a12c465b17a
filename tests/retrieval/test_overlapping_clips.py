"""Clips that overlap: hits do not crowd each other out."""

import shutil
from pathlib import Path

from talkies.library import Library
from talkies.retrieval.index import embed
from talkies.retrieval.search import Moment, SearchQuery, search
from talkies.training import pretrain, resolve

SMALL = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=2",
    "transforms.video.size=32",
    "loader.workers=0",
)


def test_clips_that_overlap_much_do_not_crowd_out_hits(library: Library, tmp_path: Path) -> None:
    shelf = Library.open(Path(shutil.copytree(library.root, tmp_path / "lib")))
    run = pretrain(shelf.root, resolve("tiny", SMALL), tmp_path / "run").run
    embed(shelf.root, run, stride_seconds=1 / 16)
    hits = search(shelf.root, SearchQuery(Moment("film-000.mp4", 6.0), count=10, use_threshold=False)).hits
    assert len(hits) == 10  # three films of twelve seconds hold many more that lie apart
