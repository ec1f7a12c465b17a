"""A pre-training that gets only so much memory above what it needs to start.

Run as: limited_training.py LIBRARY RECIPE RUN STAGE MEGABYTES, where STAGE is when the limit begins to hold: `loading`,
`features` or `steps`.
"""

import resource
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers  # noqa: F401  # before the limit, as it takes address space itself

import talkies.cli.main
import talkies.training.pretrain  # so that its module is loaded

training = sys.modules["talkies.training.pretrain"]
STAGES = {"loading": "build_system", "features": "prepare_features", "steps": "run_loop"}


def limit(megabytes: int) -> None:
    """Allow so much more address space than is used now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def limited(function: Any, megabytes: int) -> Any:
    """Return a function that begins with the limit."""

    def run(*arguments: Any, **named: Any) -> Any:
        limit(megabytes)
        return function(*arguments, **named)

    return run


if __name__ == "__main__":
    library, recipe, run, stage, megabytes = sys.argv[1:]
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setattr(training, STAGES[stage], limited(getattr(training, STAGES[stage]), int(megabytes)))
    sys.argv = ["talkies", "pretrain", "--library", library, "--recipe", recipe, "--run", run]
    talkies.cli.main.main()
