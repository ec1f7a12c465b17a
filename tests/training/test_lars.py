"""LARS against its formulas, computed number by number."""

import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from talkies.training.lars import Lars

SHAPES = {"matrix": (3, 4), "kernel": (2, 3, 2, 2), "bias": (5,), "scalar": ()}
TRUST = 0.001


@dataclass
class Slowly:
    """One tensor's numbers in a row, and how they move."""

    numbers: list[float]
    is_vector: bool
    momentum: float
    decay: float
    velocity: list[float] = field(default_factory=list)

    def step(self, gradient: list[float], rate: float) -> None:
        velocity = self.velocity or [0.0] * len(self.numbers)
        slope = list(gradient)
        if not self.is_vector:
            slope = [g + self.decay * w for g, w in zip(gradient, self.numbers, strict=True)]
            length, steepness = length_of(self.numbers), length_of(slope)
            trust = TRUST * length / steepness if length > 0 and steepness > 0 else 1.0
            slope = [trust * d for d in slope]
        self.velocity = [self.momentum * v + d for v, d in zip(velocity, slope, strict=True)]
        self.numbers = [w - rate * v for w, v in zip(self.numbers, self.velocity, strict=True)]


def length_of(numbers: list[float]) -> float:
    return math.sqrt(sum(number * number for number in numbers))


def parameters() -> dict[str, nn.Parameter]:
    torch.manual_seed(4)
    return {name: nn.Parameter(torch.randn(shape, dtype=torch.float64)) for name, shape in SHAPES.items()}


def groups(of: dict[str, nn.Parameter], decay: float) -> list[dict[str, object]]:
    matrices = [parameter for parameter in of.values() if parameter.ndim > 1]
    vectors = [parameter for parameter in of.values() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.1), (0.9, 0.0), (0.0, 0.1), (0.5, 2.0)])
def test_several_steps_are_those_of_the_formulas_written_out(momentum: float, decay: float) -> None:
    ours = parameters()
    slow = {
        name: Slowly(p.detach().flatten().tolist(), p.ndim <= 1, momentum, decay if p.ndim > 1 else 0.0)
        for name, p in ours.items()
    }
    optimiser = Lars(groups(ours, decay), lr=0.0, momentum=momentum)
    for rate in (3.0, 7.0, 2.0, 0.5):
        for group in optimiser.param_groups:
            group["lr"] = rate
        for name, parameter in ours.items():
            parameter.grad = torch.randn_like(parameter)
            slow[name].step(parameter.grad.flatten().tolist(), rate)
        optimiser.step()
        for name, parameter in ours.items():
            assert parameter.flatten().tolist() == pytest.approx(slow[name].numbers, rel=1e-12, abs=1e-14), name


def test_at_a_constant_rate_and_without_decay_it_is_the_papers_own() -> None:
    """The paper has v ← m v + rate · λ g and w ← w − v, with λ = η ‖w‖ / (‖g‖ + decay ‖w‖)."""
    ours = parameters()["matrix"]
    numbers, velocity = ours.detach().clone(), torch.zeros_like(ours)
    optimiser = Lars([ours], lr=5.0, momentum=0.9)
    for _ in range(4):
        ours.grad = torch.randn_like(ours)
        velocity = 0.9 * velocity + 5.0 * TRUST * numbers.norm() / ours.grad.norm() * ours.grad
        numbers = numbers - velocity
        optimiser.step()
    torch.testing.assert_close(ours.detach(), numbers, rtol=1e-12, atol=1e-14)


def test_a_matrix_moves_as_far_however_steep_the_loss_is_and_a_vector_does_not() -> None:
    moves = {}
    for steepness in (1.0, 1000.0):
        ours = parameters()
        before = {name: parameter.detach().clone() for name, parameter in ours.items()}
        for number, parameter in enumerate(ours.values()):
            parameter.grad = steepness * torch.full_like(parameter, 1.0 + number)
        Lars(groups(ours, 0.0), lr=1.0).step()
        moves[steepness] = {name: float((parameter.detach() - before[name]).norm()) for name, parameter in ours.items()}
    for name in ("matrix", "kernel"):
        assert moves[1000.0][name] == pytest.approx(moves[1.0][name], rel=1e-9)
        assert moves[1.0][name] == pytest.approx(TRUST * float(parameters()[name].detach().norm()), rel=1e-9)
    for name in ("bias", "scalar"):
        assert moves[1000.0][name] == pytest.approx(1000 * moves[1.0][name], rel=1e-9)


@pytest.mark.parametrize("zero", ["weights", "gradient"])
def test_a_matrix_of_no_length_or_without_slope_never_becomes_no_number(zero: str) -> None:
    weights = nn.Parameter(torch.zeros(2, 2) if zero == "weights" else torch.ones(2, 2))
    weights.grad = torch.zeros(2, 2) if zero == "gradient" else torch.ones(2, 2)
    Lars([weights], lr=0.5).step()
    expected = torch.full((2, 2), -0.5) if zero == "weights" else torch.ones(2, 2)
    assert torch.equal(weights.detach(), expected)


def test_what_has_no_gradient_is_passed_over_and_a_closure_is_called_with_gradients() -> None:
    idle, learning = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimiser = Lars([idle, learning], lr=1.0)

    def closure() -> float:
        loss = learning.square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimiser.step(closure) == 4.0
    assert torch.equal(idle.detach(), torch.ones(2, 2))
    assert (learning < 1).all()
