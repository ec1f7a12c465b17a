"""A run keeps its word: its config is the one in force, and what it saves are numbers."""

from pathlib import Path

import pytest
import torch

from talkies.config import check, read_yaml
from talkies.core import WorkError
from talkies.library import Library
from talkies.models import RunFolder
from talkies.training import RunConfig, pretrain, resolve
from talkies.training.loop import System

SMALL = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=2",
    "transforms.video.size=32",
    "loader.workers=0",
)


def test_a_longer_run_holds_the_config_that_it_was_made_longer_with(library: Library, tmp_path: Path) -> None:
    run = tmp_path / "run"
    pretrain(library.root, resolve("tiny", SMALL), run)
    longer = resolve("tiny", [*SMALL, "training.steps=3"])
    pretrain(library.root, longer, run, resume=True)
    assert check(RunConfig, read_yaml(run / "config.yaml"), "config.yaml") == longer


def test_weights_that_are_no_numbers_are_never_saved(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finite loss may have a gradient that is not: then the step spoils the weights, and the checkpoint of it too."""
    forward = System.forward

    def with_broken_gradient(self, batch, generator):  # type: ignore[no-untyped-def]
        losses, report = forward(self, batch, generator)
        zero = torch.zeros((), requires_grad=True) * next(self.parameters()).flatten()[0]
        return {**losses, "broken": torch.sqrt(zero)}, report  # its value is 0, its gradient infinite times 0

    monkeypatch.setattr(System, "forward", with_broken_gradient)
    run = tmp_path / "run"
    with pytest.raises(WorkError, match="the gradient of step 1 is not a finite number"):
        pretrain(library.root, resolve("tiny", [*SMALL, "training.steps=1"]), run)
    for checkpoint in RunFolder(run).checkpoints():
        assert all(tensor.isfinite().all() for tensor in checkpoint.model_weights().values())
