"""A pre-training that writes down the ids of every batch that it takes.

Run as: recorded_training.py LIBRARY RECIPE RUN IDS [resume].
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import talkies.training  # so that its module is there, whose loader is watched
from talkies.core import ClipBatch

training = sys.modules["talkies.training.pretrain"]


def watched(ids: Path) -> Any:
    """Return the loader, which notes each batch before it hands it over."""
    load = training.loader

    def loader(source: Any, plan: Any, steps: range, *rest: Any) -> Iterator[ClipBatch]:
        for step, batch in zip(steps, load(source, plan, steps, *rest), strict=True):
            clips = [(request.film_id, request.window.start_frame) for request in batch.requests]
            with ids.open("a") as file:
                file.write(json.dumps([step + 1, clips]) + "\n")
            yield batch

    return loader


if __name__ == "__main__":
    library, recipe, run, ids = sys.argv[1:5]
    torch.set_num_threads(1)
    training.loader = watched(Path(ids))
    training.pretrain(library, talkies.training.resolve(recipe), Path(run), resume=sys.argv[5:] == ["resume"])
