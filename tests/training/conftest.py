"""Fixtures of small runs on the rendered films: six steps of two films by four clips, each step logged."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from talkies.library import Library
from talkies.training import PretrainReport, RunConfig, pretrain, resolve

SMALL = (
    "training.steps=6",
    "training.log_every=1",
    "training.checkpoint_every=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=4",
    "transforms.video.size=32",
    "objective.cross_film_weight=0.25",
    "optimiser.warmup_steps=2",
    "loader.workers=0",
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The same sums in every run, for their order hangs on the number of threads; and no wait for busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small() -> Callable[..., RunConfig]:
    """A function from overrides to the config of a small run."""

    def config(*overrides: str) -> RunConfig:
        return resolve("tiny", [*SMALL, *overrides])

    return config


@pytest.fixture(scope="session")
def whole_run(
    library: Library, small: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> PretrainReport:
    """A small run that nothing disturbed; read only."""
    return pretrain(library.root, small(), tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="session")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    """A function from a folder to all its files' contents by their paths in it: what is there, exactly."""

    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return contents
