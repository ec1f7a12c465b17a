"""Alignment and uniformity against sums over pairs of numbers."""

import math

import pytest
import torch
from slow_contrastive import embeddings_of, objective
from torch import Tensor

from talkies.objectives import alignment, uniformity


def squared(a_D: list[float], b_D: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(a_D, b_D, strict=True))


def slow_uniformity(part_BD: Tensor) -> float:
    rows = part_BD.tolist()
    pairs = [math.exp(-2 * squared(rows[a], rows[b])) for a in range(len(rows)) for b in range(a)]
    return math.log(sum(pairs) / len(pairs))


def test_the_report_tells_alignment_and_uniformity_of_the_first_view() -> None:
    views = [embeddings_of([0, 0, 1, 2, 2]), embeddings_of([0, 0, 1, 2, 2])]
    report = objective(within_modal_weight=1.0)(views).report
    video, audio = views[0].video_BD.tolist(), views[0].audio_BD.tolist()
    expected = sum(map(squared, video, audio)) / 5
    assert report["alignment"].item() == pytest.approx(expected, abs=1e-12)
    assert report["uniformity_video"].item() == pytest.approx(slow_uniformity(views[0].video_BD), abs=1e-12)
    assert report["uniformity_audio"].item() == pytest.approx(slow_uniformity(views[0].audio_BD), abs=1e-12)


def test_embeddings_that_are_one_are_aligned_and_not_uniform() -> None:
    same_BD = torch.eye(4)[[0, 0, 0]]
    assert alignment(same_BD, same_BD) == 0
    assert uniformity(same_BD) == 0


def test_opposite_pairs_are_as_uniform_as_pairs_can_be() -> None:
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item() == pytest.approx(-8)


def test_one_clip_alone_has_a_uniformity_of_nought() -> None:
    assert uniformity(torch.eye(4)[:1]) == 0
    assert objective()([embeddings_of([0])]).report["uniformity_video"] == 0


def test_a_large_batch_is_judged_by_clips_evenly_spaced() -> None:
    part_BD = torch.nn.functional.normalize(torch.randn(2500, 8, dtype=torch.float64), dim=1)
    assert uniformity(part_BD) == uniformity(part_BD[::3])
    assert uniformity(part_BD[:1024]) != uniformity(part_BD[:1024:2])
