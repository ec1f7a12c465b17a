"""Fixtures: a second small model, and writable copies of the rendered library."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.library import Library
from talkies.training import RunConfig, pretrain


@pytest.fixture(scope="session")
def other_run(library: Library, two_steps: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another seed whose clips last two seconds; read only."""
    config = two_steps("training.seed=1", "clip.audio_seconds=2.0", "training.steps=1")
    return pretrain(library.root, config, tmp_path_factory.mktemp("runs") / "other").run


@pytest.fixture(scope="session")
def new_shelf(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Library]:
    """A function that returns a fresh copy of the library, without embeddings."""

    def copy() -> Library:
        return Library.open(Path(shutil.copytree(library.root, tmp_path_factory.mktemp("shelf") / "lib")))

    return copy
