"""Pre-trainings that record the ids of every batch, each in a forked process that has imported everything already.

Run as: recorded_training.py. Each line of its input, a JSON list [LIBRARY, RECIPE, RUN, IDS, whether to resume], starts
a process; its id is printed, and when it has ended, its exit status, negative if a signal ended it.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import talkies.training  # so that its module is loaded, whose loader is patched
from talkies.core import ClipBatch

training = sys.modules["talkies.training.pretrain"]


def watched(ids: Path) -> Any:
    """Return the loader, which notes each batch before it hands it over."""
    load = training.load_batches

    def load_batches(source: Any, plan: Any, steps: range, *rest: Any, **shares: Any) -> Iterator[ClipBatch]:
        for step, batch in zip(steps, load(source, plan, steps, *rest, **shares), strict=True):
            clips = [(request.film_id, request.window.start_frame) for request in batch.requests]
            with ids.open("a") as file:
                file.write(json.dumps([step + 1, clips]) + "\n")
            yield batch

    return load_batches


def record(library: str, recipe: str, run: str, ids: str, resume: bool) -> None:
    """Train."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which is for the parent's answers alone
    torch.set_num_threads(1)
    training.load_batches = watched(Path(ids))
    training.pretrain(library, talkies.training.resolve(recipe), Path(run), resume=resume)


def serve() -> None:
    """Begin a process for each line; in such a process, return when its training is done."""
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            record(*json.loads(line))
            return
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
