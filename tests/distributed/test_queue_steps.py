"""Training against queues of keys equals a reference of plain loops, in every form and on one, two and four ranks."""

from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from one_queue import CHUNKS
from queue_system import FPS, QUEUES, RATE, STEPS, WINDOW, QueueTraining, clips_of
from ranks import run_ranks
from slow_queue import SlowQueueTraining

from talkies.objectives import ObjectiveConfig

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.ranks]

Steps = list[dict[str, Any]]
RANKS = pytest.mark.parametrize("size", [2, 4])


@pytest.fixture(scope="module")
def alone() -> Fabric:
    """Fabric for one process."""
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each rank of groups of two and four left."""
    return run_ranks("one_queue", (2, 4), tmp_path_factory.mktemp("queues"))


@pytest.fixture(scope="module")
def expected(alone: Fabric) -> dict[str, Steps]:
    """What the reference comes to at each step, by the settings."""
    return {name: reference(settings, alone) for name, settings in QUEUES.items()}


def reference(settings: dict[str, Any], alone: Fabric) -> Steps:
    config, weights = ObjectiveConfig(**settings), QueueTraining(settings, None, alone).weights
    start = {name: tensor.detach() for name, tensor in weights.items()}
    training = SlowQueueTraining(config, FPS, WINDOW, start, RATE)
    steps = []
    for step in range(STEPS):
        taken = training.step(clips_of(step), config.compute_cross_film_weight(step))
        queue = {film: list(keys) for film, keys in training.queue.items() if keys}
        steps.append({**taken, "queue": queue, "momentum": dict(training.momentum)})
    return steps


def expect_reference(got: Steps, expected: Steps) -> None:
    """Check the gradients, the weights of the momentum encoder and the queues after each step."""
    for step, other in zip(got, expected, strict=True):
        assert step["gradients"].keys() == other["gradients"].keys()
        for name, gradient in other["gradients"].items():
            assert gradient.norm() > 1e-3, f"{name} proves nothing"
            torch.testing.assert_close(step["gradients"][name], gradient, rtol=0, atol=1e-10)

        state = step["state"]
        for modality, weight in other["momentum"].items():
            torch.testing.assert_close(state[f"model.{modality}_head.weight"], weight, rtol=0, atol=1e-10)
        films = sorted(other["queue"])
        every = [key for film in films for key in other["queue"][film]]
        assert state["queue.film"].tolist() == [film for film in films for _ in other["queue"][film]]
        assert state["queue.start"].tolist() == [key.start for key in every]
        for modality in ("video", "audio"):
            rows = torch.tensor([getattr(key, modality) for key in every], dtype=torch.float64)
            torch.testing.assert_close(state[f"queue.{modality}"], rows, rtol=0, atol=1e-10)


def losses_of(step: dict[str, Any]) -> dict[str, float]:
    numbers = step["numbers"]
    return {name: numbers.get(f"loss_{name}", numbers["loss"]).item() for name in ("contrastive", "within_modal")}


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("block", [None, 4])
@pytest.mark.parametrize("name", QUEUES)
def test_steps_are_those_of_the_reference(
    name: str, block: int | None, chunk: int | None, alone: Fabric, expected: dict[str, Steps]
) -> None:
    training = QueueTraining({**QUEUES[name], "block_clips": block}, chunk, alone)
    got = [training.step(step) for step in range(STEPS)]
    expect_reference(got, expected[name])
    for step, other in zip(got, expected[name], strict=True):
        losses = {key: losses_of(step)[key] for key in other["losses"]}
        assert losses == pytest.approx(other["losses"], rel=0, abs=1e-10)
        assert step["numbers"]["negatives"].item() == pytest.approx(other["negatives"])
    assert expected[name][-1]["negatives"] > expected[name][0]["negatives"]


@RANKS
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", QUEUES)
def test_steps_on_several_ranks_are_those_of_the_reference(
    name: str, chunk: int | None, size: int, groups: dict[int, list[dict[str, Any]]], expected: dict[str, Steps]
) -> None:
    of_ranks = [results[f"{name} {chunk}"] for results in groups[size]]
    for got in of_ranks:
        expect_reference(got, expected[name])
    for steps, other in zip(zip(*of_ranks, strict=True), expected[name], strict=True):
        for key, value in other["losses"].items():
            assert sum(losses_of(step)[key] for step in steps) / size == pytest.approx(value, rel=0, abs=1e-10)
