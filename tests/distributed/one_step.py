"""One rank of a group that trains: the batch in one pass alone, then its share of it under each wrapper."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from ranks import meet
from small_system import KNOBS, LEARNT, SEED, STEP, gradients_of, looks, plain_step, share_of, stepper_of, system_of
from torch import Tensor

from talkies.training.devices import spread
from talkies.training.tensors import whole

CHUNKS = {"ddp": (None, 1, 3), "fsdp": (None, 3)}  # of the four clips of a rank


def main(number: int, size: int, folder: Path) -> None:
    results: dict[str, Any] = {"plain": {name: plain_step(settings) for name, settings in KNOBS.items()}}
    meet(number, size, folder)
    strategies = {
        "ddp": DDPStrategy(gradient_as_bucket_view=True),
        "fsdp": ModelParallelStrategy(spread, data_parallel_size=size, tensor_parallel_size=1),
    }
    for strategy, chunks in CHUNKS.items():
        fabric = Fabric(accelerator="cpu", devices=size, strategy=strategies[strategy])
        fabric.launch()
        for name, settings in KNOBS.items():
            for chunk in chunks:
                system = system_of(settings, channels_last=strategy != "fsdp")
                stepper, batch = stepper_of(fabric, system, chunk), share_of(number, size)
                augmentations = stepper.augmentations(batch, SEED, STEP)
                numbers = stepper.backward(batch, augmentations, STEP)
                numbers["gradient_norm"] = stepper.gradient_norm()
                results[f"{strategy} {chunk} {name}"] = {"numbers": numbers, "gradients": gradients_of(system)}
                results["looks"] = looks(augmentations)
        results[f"{strategy} bounded"] = bounded(fabric, strategy != "fsdp")
    torch.save(results, folder / f"{number}_of_{size}.pt")


def bounded(fabric: Fabric, channels_last: bool) -> Tensor:
    """The logarithm of a temperature that was learnt too low, after one more step."""
    system = system_of(LEARNT, channels_last=channels_last)
    stepper, batch = stepper_of(fabric, system, None), share_of(fabric.global_rank, fabric.world_size)
    with torch.no_grad():
        system.objective.log_temperature.fill_(-9.0)
    stepper.backward(batch, stepper.augmentations(batch, SEED, STEP), STEP)
    return whole(system.objective.log_temperature)
