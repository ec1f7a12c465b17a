"""The optimisers by name: which one each is, that it learns, which weights decay, and the gradient-norm limit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import OptimiserConfig, RunConfig, pretrain
from talkies.training.lars import Lars
from talkies.training.metrics import read_metrics
from talkies.training.optimiser import build_optimiser, compute_learning_rate, set_learning_rate

Config = Callable[..., RunConfig]
KINDS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "lars": Lars}


def optimiser_of(kind: str, module: nn.Module, **values: Any) -> torch.optim.Optimizer:
    return build_optimiser(module, OptimiserConfig.model_validate({"kind": kind, **values}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_config_names_the_optimiser(kind: str) -> None:
    optimiser = optimiser_of(kind, nn.Linear(3, 2), learning_rate=0.3, momentum=0.7, beta2=0.95)
    assert type(optimiser) is KINDS[kind]
    for group in optimiser.param_groups:
        assert group["lr"] == 0.3
        assert group.get("betas", (0.9, 0.95)) == (0.9, 0.95)
        assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_and_scalars_do_not_decay_and_what_is_frozen_does_not_learn(kind: str) -> None:
    layer = nn.Linear(3, 2)
    layer.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
    optimiser = optimiser_of(kind, layer, weight_decay=0.1)
    decays = {group["weight_decay"]: [tuple(p.shape) for p in group["params"]] for group in optimiser.param_groups}
    assert decays == {0.1: [(2, 3)], 0.0: [(2,)]}


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_slopes_decay_draws_matrices_to_zero_and_leaves_vectors_alone(kind: str) -> None:
    layer = nn.Linear(4, 3)
    matrix, vector = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimiser = optimiser_of(kind, layer, weight_decay=0.5, learning_rate=0.1)
    for _ in range(3):
        for parameter in layer.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()
    assert torch.equal(layer.bias.detach(), vector)
    shrunk = layer.weight.detach() / matrix
    assert (shrunk < 1).all()
    torch.testing.assert_close(shrunk, shrunk[0, 0].expand_as(shrunk))


@pytest.mark.parametrize(("kind", "rate"), [("adamw", 0.02), ("sgd", 0.1), ("lars", 0.5)])
def test_each_kind_learns_a_small_problem(kind: str, rate: float) -> None:
    torch.manual_seed(2)
    inputs, teacher = torch.randn(64, 6), nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    wanted = teacher(inputs).detach()
    pupil = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    config = OptimiserConfig.model_validate({"kind": kind, "learning_rate": rate, "warmup_steps": 10})
    optimiser, losses = build_optimiser(pupil, config), []
    for step in range(200):
        set_learning_rate(optimiser, compute_learning_rate(step, 200, config))
        optimiser.zero_grad()
        loss = functional.mse_loss(pupil(inputs), wanted)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def moved(run: Path) -> float:
    """How far the first step moved all that learns."""
    before, after = (RunFolder(run).get_checkpoint(step).read_model_weights() for step in (0, 1))
    weights = (name for name in before if not name.endswith(("running_mean", "running_var", "num_batches_tracked")))
    return math.sqrt(sum(float((after[name] - before[name]).double().square().sum()) for name in weights))


@pytest.mark.parametrize("longest", [0.01, 1e6])
def test_a_gradient_longer_than_the_longest_is_cut_to_it_and_another_is_left(
    longest: float, library: Library, small: Config, tmp_path: Path
) -> None:
    plain = ("optimiser.kind=sgd", "optimiser.momentum=0", "optimiser.weight_decay=0", "optimiser.warmup_steps=0")
    config = small(*plain, "training.steps=1", "optimiser.learning_rate=0.5", f"optimiser.max_grad_norm={longest}")
    pretrain(library.root, config, tmp_path / "run")
    told = read_metrics(tmp_path / "run" / "metrics.jsonl")[0]["gradient_norm"]
    assert told > 0.1, "what is told is the length before the cut"
    assert moved(tmp_path / "run") == pytest.approx(0.5 * min(told, longest), rel=1e-4)
