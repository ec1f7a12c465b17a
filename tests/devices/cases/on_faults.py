"""The fake accelerator finds what it is there for: each fault is planted once into a step that has none."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from device_training import DeviceTraining, batch_of, config_of
from fake_accelerator import DEVICE, FakeAccelerator, MixedDevicesError, on_device
from torch import Tensor

from talkies.core import Embeddings, WorkError
from talkies.objectives import ContrastiveObjective
from talkies.training.guard import FiniteGuard

Fault = Callable[[Tensor], Any]

WAITING: dict[str, tuple[str, Fault]] = {
    "item": ("read", lambda rows_BD: rows_BD.sum().item()),
    "float": ("read", lambda rows_BD: float(rows_BD.detach().sum())),
    "tolist": ("read", lambda rows_BD: rows_BD.detach().tolist()),
    "bool": ("read", lambda rows_BD: bool((rows_BD > 9).any())),
    "a copy to the CPU": ("read", lambda rows_BD: rows_BD.detach().cpu()),
    "nonzero": ("shape", lambda rows_BD: rows_BD.detach().nonzero()),
    "indexing by a mask": ("shape", lambda rows_BD: rows_BD.detach()[rows_BD[:, 0] > 0]),
    "setting by a mask": ("shape", lambda rows_BD: rows_BD.detach().clone().__setitem__(rows_BD > 9, 0.0)),
    "unique": ("shape", lambda rows_BD: rows_BD.detach().unique()),
    "a copy of a list": ("copy", lambda rows_BD: torch.tensor([1.0, 2.0], device=rows_BD.device)),
    "a copy from pageable memory": ("copy", lambda rows_BD: torch.ones(9).to(rows_BD.device, non_blocking=True)),
    "a blocking copy": ("copy", lambda rows_BD: torch.ones(9).pin_memory().to(rows_BD.device)),
    "a copy into a tensor": ("copy", lambda rows_BD: rows_BD.detach().clone().copy_(torch.ones(rows_BD.shape))),
}
MIXED: dict[str, Fault] = {
    "a sum": lambda rows_BD: rows_BD + torch.ones(rows_BD.shape[1]),
    "a product": lambda rows_BD: rows_BD @ torch.ones(rows_BD.shape[1], 2),
    "a stack with a scalar": lambda rows_BD: torch.stack((rows_BD.sum(), torch.tensor(1.0))),
}


def plant(monkeypatch: pytest.MonkeyPatch, faults: Sequence[Fault]) -> None:
    """Let the objective commit one fault in each step; it sees the embeddings of the clips' videos."""
    honest = ContrastiveObjective.forward

    def forward(objective: ContrastiveObjective, views: Sequence[Embeddings], step: int, *extra: Any) -> Any:
        faults[step](views[0].video_BD)
        return honest(objective, views, step, *extra)

    monkeypatch.setattr(ContrastiveObjective, "forward", forward)


def test_each_wait_is_found_once_and_named_by_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [lambda _: None, *(fault for _, fault in WAITING.values()), lambda _: None])
    counts: list[int] = []
    with FakeAccelerator() as accelerator:
        training = DeviceTraining(config_of())
        training.run(range(1), map(batch_of, range(1)))
        with accelerator.watch() as waits:
            steps = range(1, len(WAITING) + 2)
            training.run(steps, map(batch_of, steps), lambda _step: counts.append(len(waits)))

    kinds = [wait.kind for wait in waits[: counts[-1]]]
    assert kinds == [kind for kind, _ in WAITING.values()]
    assert counts == [*range(1, len(WAITING) + 1), len(WAITING)]
    assert all(wait.line.startswith("on_faults.py:") for wait in waits[: counts[-1]])


@pytest.mark.parametrize("fault", MIXED.values(), ids=MIXED)
def test_a_tensor_of_the_cpu_is_refused(fault: Fault) -> None:
    with FakeAccelerator():
        rows_BD = torch.randn(4, 3, device=DEVICE)
        with pytest.raises(MixedDevicesError, match=r"on_faults\.py"):
            fault(rows_BD)


def test_a_scalar_of_the_cpu_beside_a_tensor_is_what_a_gpu_takes_too() -> None:
    with FakeAccelerator() as accelerator, accelerator.watch() as waits:
        assert on_device(torch.randn(4, device=DEVICE) * torch.tensor(2.0))
    assert not waits


def test_numbers_are_read_where_they_are_logged_and_nowhere_else() -> None:
    config = config_of("training.log_every=2")
    counts: list[int] = []
    with FakeAccelerator() as accelerator:
        training = DeviceTraining(config)
        training.run(range(1), map(batch_of, range(1)))
        with accelerator.watch() as waits:
            steps = range(1, 6)
            training.run(steps, map(batch_of, steps), lambda _step: counts.append(len(waits)))
    files = {wait.line.split(":")[0] for wait in waits}
    assert files == {"guard.py"}
    assert [before < after for before, after in pairwise(counts)] == [True, False, True, False]


@pytest.mark.parametrize("kind", ["adamw", "sgd", "lars"])
@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_nothing_is_learnt_from_a_step_that_is_not_finite(monkeypatch: pytest.MonkeyPatch, kind: str, bad: str) -> None:
    honest = ContrastiveObjective.forward

    def forward(objective: ContrastiveObjective, views: Sequence[Embeddings], step: int, *extra: Any) -> Any:
        output = honest(objective, views, step, *extra)
        if step == 2 and bad == "loss":
            output.losses["contrastive"] = output.losses["contrastive"] + float("inf")  # its gradient is finite
        if step == 2 and bad == "gradient":  # the root of 0 is 0, and its slope infinite
            output.losses["contrastive"] = output.losses["contrastive"] + (views[0].video_BD.sum() * 0).sqrt()
        return output

    monkeypatch.setattr(ContrastiveObjective, "forward", forward)
    kept: list[list[Tensor]] = []
    with FakeAccelerator():
        training = DeviceTraining(config_of(f"optimiser.kind={kind}"))
        weights = list(training.state.system.parameters())

        def keep(_step: int) -> None:
            state = [value for each in training.state.optimiser.state.values() for value in each.values()]
            kept.append([tensor.detach().inner.clone() for tensor in (*weights, *state) if on_device(tensor)])  # type: ignore[attr-defined]

        with pytest.raises(WorkError, match=f"{bad} 3"):
            training.run(range(5), map(batch_of, range(5)), keep)
    assert training.not_finite == [(bad, 3)]
    first, before, *after = kept
    assert len(after) == 3
    assert not all(torch.equal(a, b) for a, b in zip(first, before, strict=True))
    for later in after:
        assert all(torch.equal(a, b) for a, b in zip(before, later, strict=True))


def test_the_first_step_that_is_not_finite_is_the_one_that_is_named() -> None:
    guard, one, nan = FiniteGuard(torch.device("cpu")), torch.tensor(1.0), torch.tensor(float("nan"))
    held = [guard.judge(one, norm, step).item() for step, norm in enumerate((one, nan, one, nan), 1)]
    assert held == [0, 1, 1, 1]
    assert guard.find() == ("gradient", 2)
