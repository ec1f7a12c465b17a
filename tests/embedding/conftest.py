"""Two little models, and copies of the rendered library that may be written to."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.library import Library
from talkies.training import pretrain, resolve

SMALL = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=2",
    "transforms.video.size=32",
    "loader.workers=0",
)


@pytest.fixture(scope="session")
def run(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps; read only."""
    return pretrain(library.root, resolve("tiny", SMALL), tmp_path_factory.mktemp("runs") / "first").run


@pytest.fixture(scope="session")
def other_run(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another seed whose clips last two seconds; read only."""
    config = resolve("tiny", [*SMALL, "training.seed=1", "clip.audio_seconds=2.0", "training.steps=1"])
    return pretrain(library.root, config, tmp_path_factory.mktemp("runs") / "other").run


@pytest.fixture(scope="session")
def new_shelf(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Library]:
    """A function that gives a fresh copy of the library, without embeddings."""

    def copy() -> Library:
        return Library.open(Path(shutil.copytree(library.root, tmp_path_factory.mktemp("shelf") / "lib")))

    return copy
