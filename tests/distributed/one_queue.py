"""One rank of a group that trains against queues of keys."""

from pathlib import Path
from typing import Any

import torch
from queue_system import QUEUES, STEPS, QueueTraining
from ranks import meet

from talkies.training.config import TrainingConfig
from talkies.training.devices import make_fabric

CHUNKS = (None, 2)
BLOCKS = (None, 3)


def main(number: int, size: int, folder: Path) -> None:
    results: dict[str, Any] = {}
    meet(number, size, folder)
    fabric = make_fabric(TrainingConfig(steps=1, device="cpu", devices=size))
    fabric.launch()
    for name, settings in QUEUES.items():
        for chunk, block in zip(CHUNKS, BLOCKS, strict=True):
            training = QueueTraining({**settings, "block_clips": block}, chunk, fabric)
            results[f"{name} {chunk}"] = [training.step(step) for step in range(STEPS)]
    torch.save(results, folder / f"{number}_of_{size}.pt")
