"""The loss in blocks equals the loss at once, and so does its gradient; it needs little memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from slow_contrastive import objective, pairs_of, views_of
from torch import Tensor

from talkies.core import Embeddings
from talkies.objectives import ClipPairs, ContrastiveObjective, ObjectiveConfig, Scores, compute_scores

FILMS, STARTS = [3, 3, 3, 1, 1, 7, 3, 1, 1, 0], [0, 6, 30, 0, 4, 0, 34, 20, 90, 0]
EVERY: dict[str, dict[str, Any]] = {
    "plain": {},
    "within film alone": {"cross_film_weight": 0.0},
    "terms": {"cross_film_weight": 0.3, "learn_temperature": True},
    "negatives": {"cross_film_weight": 0.3, "cross_film_weighs": "negatives", "learn_temperature": True},
    "mask": {"mask_nearer_than_seconds": 5.0, "cross_film_weight": 0.3},
    "positives": {"within_film_positives_seconds": 5.0, "learn_temperature": True},
    "views": {
        "within_modal_weight": 0.5,
        "within_film_positives_seconds": 4.0,
        "mask_nearer_than_seconds": 6.0,
        "cross_film_weight": 0.4,
        "learn_temperature": True,
    },
}
BLOCKS = pytest.mark.parametrize("block", [1, 3, 4, 10, 64])


def gradients_of(judge: ContrastiveObjective, views: list[Embeddings]) -> list[Tensor]:
    wanted = [part for view in views for part in (view.video_BD, view.audio_BD)]
    wanted += [judge.log_temperature] if judge.config.learn_temperature else []
    return list(torch.autograd.grad(sum(judge(views).losses.values()), wanted))


@BLOCKS
@pytest.mark.parametrize("knobs", EVERY)
def test_gradients_in_blocks_are_those_at_once(knobs: str, block: int) -> None:
    views = views_of(ObjectiveConfig(**EVERY[knobs]), FILMS, STARTS)
    expected = gradients_of(objective(**EVERY[knobs]), views)
    got = gradients_of(objective(**EVERY[knobs], block_clips=block), views)
    for mine, other in zip(got, expected, strict=True):
        assert other.norm() > 1e-3
        assert (mine - other).norm() < 1e-11 * other.norm()


@pytest.mark.parametrize("knobs", EVERY)
def test_single_precision_gradients_in_blocks_are_those_at_once(knobs: str) -> None:
    def single(view: Embeddings) -> Embeddings:
        parts = (part.detach().float().requires_grad_() for part in (view.video_BD, view.audio_BD))
        return Embeddings(*parts, view.film_B, view.start_B)

    views = [single(view) for view in views_of(ObjectiveConfig(**EVERY[knobs]), FILMS, STARTS)]
    expected, got = (gradients_of(objective(**EVERY[knobs], block_clips=b).float(), views) for b in (None, 3))
    for mine, other in zip(got, expected, strict=True):
        assert (mine - other).norm() < 1e-5 * other.norm()


@pytest.mark.parametrize("block", [None, 3])
@pytest.mark.parametrize("knobs", EVERY)
def test_gradients_equal_finite_differences(knobs: str, block: int | None) -> None:
    settings = EVERY[knobs] | {"temperature": 0.5}
    judge, views = objective(**settings, block_clips=block), views_of(ObjectiveConfig(**settings), FILMS, STARTS)
    parts = [part for view in views for part in (view.video_BD, view.audio_BD)]

    def loss(*parts: Tensor) -> Tensor:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return sum(judge([Embeddings(*pair, views[0].film_B, views[0].start_B) for pair in pairs]).losses.values())

    assert torch.autograd.gradcheck(loss, parts, fast_mode=True)


@BLOCKS
@pytest.mark.parametrize(
    "pairs",
    [
        pairs_of(FILMS, STARTS),
        pairs_of(FILMS, STARTS, masked_frames=5),
        pairs_of(FILMS, STARTS, masked_frames=5, positive_frames=4),
        pairs_of(range(10)),
        pairs_of([1] * 10),
    ],
    ids=["plain", "masked", "several positives", "no rival in a film", "one film"],
)
def test_all_that_is_known_of_the_scores_is_the_same_in_blocks(pairs: ClipPairs, block: int) -> None:
    query_BD, candidate_ND = torch.randn(2, 10, 4, dtype=torch.float64)
    whole, parts = (compute_scores(query_BD, candidate_ND, pairs, b) for b in (None, block))
    for name in Scores.__slots__:
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=0, atol=1e-12)


def test_each_of_a_querys_numbers_has_its_own_gradient_in_blocks() -> None:
    pairs = pairs_of(FILMS, STARTS, masked_frames=5, positive_frames=4)
    query_BD, candidate_ND = (part.requires_grad_() for part in torch.randn(2, 10, 4, dtype=torch.float64))

    def numbers(query_BD: Tensor, candidate_ND: Tensor) -> tuple[Tensor, ...]:
        scores = compute_scores(query_BD, candidate_ND, pairs, 3)
        across_B = scores.lse_across_B.masked_fill(~scores.lse_across_B.isfinite(), 0)
        return scores.lse_within_B, across_B, scores.positive_B

    assert torch.autograd.gradcheck(numbers, (query_BD, candidate_ND))


def test_what_is_only_reported_has_no_gradient() -> None:
    query_BD = torch.randn(10, 4, requires_grad=True)
    for block in (None, 3):
        scores = compute_scores(query_BD, torch.randn(10, 4), pairs_of(FILMS), block)
        learning = {name for name in Scores.__slots__ if getattr(scores, name).requires_grad}
        assert learning == {"lse_within_B", "lse_across_B", "positive_B"}


@pytest.mark.parametrize("block", [None, 3])
def test_the_same_clips_give_the_same_numbers_twice(block: int | None) -> None:
    settings = EVERY["views"] | {"block_clips": block}
    views = views_of(ObjectiveConfig(**settings), FILMS, STARTS)
    first, second = (gradients_of(objective(**settings), views) for _ in range(2))
    assert all(map(torch.equal, first, second))


def peak_mb(clips: int, block: int) -> float:
    """By how much a process's memory rises at most for the loss and its gradient; it prints that."""
    script = Path(__file__).parents[2] / "benchmarks" / "objective.py"
    command = [sys.executable, str(script), "--peak-of", str(clips), str(block), "--dims", "16"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not tell a process's peak memory")
def test_blocks_take_less_memory_than_the_scores_alone_would_and_at_once_many_times_that() -> None:
    def scores_mb(clips: int) -> float:
        return clips**2 * 4 / 1e6

    assert peak_mb(4096, 512) < scores_mb(4096)
    assert peak_mb(2048, 0) > 8 * scores_mb(2048)
