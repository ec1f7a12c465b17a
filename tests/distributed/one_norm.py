"""One rank of a group whose batch norms work together."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from ranks import meet
from small_system import KNOBS, SEED, STEP, gradients_of, share_of, stepper_of, system_of
from torch import Tensor, nn

from talkies.training.batch_norms import (
    StatisticsCollector,
    SynchronisedBatchNorm,
    average_statistics,
    synchronise_batch_norms,
)
from talkies.training.config import TrainingConfig
from talkies.training.devices import make_fabric
from talkies.training.system import ContrastiveSystem

SHAPES = {"vectors": (8, 5), "pictures": (8, 5, 3, 4), "videos": (8, 5, 2, 3, 2)}


def main(number: int, size: int, folder: Path) -> None:
    meet(number, size, folder)
    fabric = make_fabric(TrainingConfig(steps=1, device="cpu", devices=size))
    fabric.launch()
    results: dict[str, Any] = {"norms": {name: one_norm(name, number, size) for name in SHAPES}}
    for chunk in (None, 2):
        results[f"synchronised {chunk}"] = one_step(fabric, chunk, synchronised=True)
    results["apart"] = one_step(fabric, None, synchronised=False)
    results["collected"] = collected(fabric)
    torch.save(results, folder / f"{number}_of_{size}.pt")


def rows_of(name: str) -> Tensor:
    """The input of a norm for all ranks: each clip at a level of its own."""
    generator = torch.Generator().manual_seed(9)
    rows = torch.randn(SHAPES[name], dtype=torch.float64, generator=generator)
    return rows + torch.arange(8.0, dtype=torch.float64).view(-1, *(1 for _ in SHAPES[name][1:]))


def weighted(output: Tensor, clips: slice) -> Tensor:
    """A loss that is no sum over channels: every position has a weight of its own."""
    generator = torch.Generator().manual_seed(4)
    weights = torch.randn(8, *output.shape[1:], dtype=output.dtype, generator=generator)[clips]
    return (weights * output.square()).sum()


def fill(norm: nn.Module) -> None:
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.copy_(torch.linspace(-1, 1, 5))


def one_norm(name: str, number: int, size: int) -> dict[str, Tensor]:
    """What a rank's share of the rows becomes, and the gradients."""
    norm = SynchronisedBatchNorm(5).double()
    fill(norm)
    clips = slice(number * 8 // size, (number + 1) * 8 // size)
    share = rows_of(name)[clips].requires_grad_()
    output = norm(share)
    weighted(output, clips).backward()
    parts = {"output": output.detach(), "input": share.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return {**parts, **{key: tensor.clone() for key, tensor in norm.state_dict().items() if "running" in key}}


def running_of(system: ContrastiveSystem) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in system.state_dict().items() if "running" in name}


def one_step(fabric: Fabric, chunk: int | None, *, synchronised: bool) -> dict[str, Any]:
    """A step on a rank's share, and the running statistics after it, before and after they are averaged."""
    system = system_of(KNOBS["terms"], still=False)
    if synchronised:
        synchronise_batch_norms(system, "cpu")
    stepper, batch = stepper_of(fabric, system, chunk), share_of(fabric.global_rank, fabric.world_size)
    # Twice, because buffers that one rank hands to the others would be handed over before the second.
    for _ in range(2):
        system.zero_grad()
        numbers = stepper.backward(batch, stepper.draw_augmentations(batch, SEED, STEP), STEP)
    results = {"numbers": numbers, "gradients": gradients_of(system), "running": running_of(system)}
    average_statistics(system)
    return {**results, "averaged": running_of(system)}


def collected(fabric: Fabric) -> dict[str, Tensor]:
    """The running statistics that are measured on a rank's share, with norms of each rank's own."""
    system = system_of(KNOBS["terms"], still=False)
    stepper, batch = stepper_of(fabric, system, None), share_of(fabric.global_rank, fabric.world_size)
    collector = StatisticsCollector(system)
    for step in (0, 1, 2):
        with collector.collect():
            stepper.encode(batch, stepper.draw_augmentations(batch, SEED, step)[:1])
    collector.write()
    return running_of(system)
