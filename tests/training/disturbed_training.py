"""A pre-training, in one process or several, that records its batches and may be disturbed.

Run as: disturbed_training.py LIBRARY RECIPE RUN [--resume] [--fixed-batch-norms] [--batches FOLDER] [--stop-at STEP]
[--broken-at STEP]. Each process writes the clips of its batches to a file of its own in FOLDER.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

import talkies.training  # so that its module is loaded, whose loader is patched
from talkies.core import ClipBatch, Embeddings, ReportedError, TalkiesError
from talkies.objectives import ContrastiveObjective
from talkies.objectives.contrastive import ObjectiveOutput
from talkies.training import PretrainReport, Progress, RunConfig
from talkies.training.batch_norms import SynchronisedBatchNorm

module = sys.modules["talkies.training.pretrain"]


class StopError(Exception):
    """What stops a run in these tests."""


@dataclass(frozen=True)
class Disturbance:
    """What disturbs a run.

    All processes stop when they ask for the batch of step `stop_at`, so the step before it is not finished. At step
    `broken_at` only the loss of the last process is not a number. With `fixed_batch_norms`, batch norms normalise by
    their running statistics, so that a clip's embedding does not depend on the other clips of its batch.
    """

    batches: Path | None = None
    stop_at: int | None = None
    broken_at: int | None = None
    fixed_batch_norms: bool = False

    def load_batches(
        self, source: Any, plan: Any, steps: range, config: Any, *, rank: int, world_size: int
    ) -> Iterator[ClipBatch]:
        loaded = _load(source, plan, steps, config, rank=rank, world_size=world_size)
        for step, batch in zip(steps, loaded, strict=True):
            if step + 1 == self.stop_at:
                raise StopError
            if self.batches:
                clips = [(request.film_id, request.window.start_frame) for request in batch.requests]
                with (self.batches / f"{rank}-of-{world_size}.jsonl").open("a") as file:
                    file.write(json.dumps([step + 1, clips]) + "\n")
            yield batch

    def objective(self) -> Callable[..., ObjectiveOutput]:
        """Return the objective's forward."""

        def forward(
            objective: ContrastiveObjective, views: Sequence[Embeddings], step: int, *extra: Any
        ) -> ObjectiveOutput:
            output = _forward(objective, views, step, *extra)
            if step + 1 != self.broken_at or not _is_last():
                return output
            return ObjectiveOutput({name: loss * float("nan") for name, loss in output.losses.items()}, output.report)

        return forward


_load, _forward = module.load_batches, ContrastiveObjective.forward


def _is_last() -> bool:
    group = torch.distributed
    return not group.is_initialized() or group.get_rank() == group.get_world_size() - 1


def _forward_with_running_statistics(norm: _BatchNorm, x: Tensor) -> Tensor:
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)


def disturbed(
    library: Path, config: RunConfig, run: Path, disturbance: Disturbance, resume: bool = False
) -> PretrainReport | None:
    """Pre-train, and return the report, or nothing if the run was stopped."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(module, "load_batches", disturbance.load_batches))
        if disturbance.broken_at:
            patches.enter_context(patch.object(ContrastiveObjective, "forward", disturbance.objective()))
        if disturbance.fixed_batch_norms:
            for norm in (_BatchNorm, SynchronisedBatchNorm):
                patches.enter_context(patch.object(norm, "forward", _forward_with_running_statistics))
        try:
            return talkies.training.pretrain(library, config, run, resume, Progress(on_failure=say))
        except StopError:
            return None
        except ReportedError as error:
            if not isinstance(error.__cause__, StopError):
                raise
            return None


def say(sentence: str) -> None:
    """Report the failure that counts, except that the run was stopped."""
    if "StopError" not in sentence:
        print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("library", "recipe", "run"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--fixed-batch-norms", action="store_true")
    parser.add_argument("--batches", type=Path)
    parser.add_argument("--stop-at", type=int)
    parser.add_argument("--broken-at", type=int)
    said = parser.parse_args()
    torch.set_num_threads(1)
    wanted = Disturbance(said.batches, said.stop_at, said.broken_at, said.fixed_batch_norms)
    try:
        config = talkies.training.resolve(str(said.recipe))
        if disturbed(said.library, config, said.run, wanted, said.resume) is None:
            os._exit(0)  # it was stopped on purpose; otherwise the failure of its group is its status
    except ReportedError as error:
        os._exit(error.status)
    except TalkiesError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(error.exit_status)
