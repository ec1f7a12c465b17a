"""One rank of a group that trains: the batch in one pass, then its share under each wrapper."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from ranks import meet
from small_system import KNOBS, LEARNT, SEED, STEP, gradients_of, looks, plain_step, share_of, stepper_of, system_of
from torch import Tensor

from talkies.training.config import TrainingConfig
from talkies.training.devices import make_fabric
from talkies.training.tensors import gather_tensor

CHUNKS = {"ddp": (None, 2, 3), "fsdp": (None, 3)}  # of the four clips of a rank


def main(number: int, size: int, folder: Path) -> None:
    results: dict[str, Any] = {"plain": {name: plain_step(settings) for name, settings in KNOBS.items()}}
    meet(number, size, folder)
    for strategy, chunks in CHUNKS.items():
        fabric = make_fabric(TrainingConfig(steps=1, device="cpu", devices=size, strategy=strategy))
        fabric.launch()
        for name, settings in KNOBS.items():
            for chunk in chunks:
                system = system_of(settings)
                stepper, batch = stepper_of(fabric, system, chunk), share_of(number, size)
                augmentations = stepper.draw_augmentations(batch, SEED, STEP)
                numbers = stepper.backward(batch, augmentations, STEP)
                numbers["gradient_norm"] = stepper.compute_gradient_norm()
                results[f"{strategy} {chunk} {name}"] = {"numbers": numbers, "gradients": gradients_of(system)}
                results["looks"] = looks(augmentations)
        results[f"{strategy} bounded"] = bounded(fabric)
    torch.save(results, folder / f"{number}_of_{size}.pt")


def bounded(fabric: Fabric) -> Tensor:
    """The logarithm of a temperature that was learnt too low, after one more step."""
    system = system_of(LEARNT)
    stepper, batch = stepper_of(fabric, system, None), share_of(fabric.global_rank, fabric.world_size)
    with torch.no_grad():
        system.objective.log_temperature.fill_(-9.0)
    stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    return gather_tensor(system.objective.log_temperature)
