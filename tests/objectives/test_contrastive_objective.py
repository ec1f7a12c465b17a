import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkies.config import check
from talkies.core import ConfigError, Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig
from talkies.sampling import within_film_share


def embeddings_of(films: int, clips: int, dims: int = 8) -> Embeddings:
    video_BD, audio_BD = (functional.normalize(torch.randn(films * clips, dims), dim=1) for _ in range(2))
    film_B = torch.arange(films).repeat_interleave(clips)
    return Embeddings(video_BD.requires_grad_(), audio_BD.requires_grad_(), film_B)


def objective(**settings: Any) -> ContrastiveObjective:
    return ContrastiveObjective(ObjectiveConfig(**settings))


def cross_entropy_of(embeddings: Embeddings, temperature: float | Tensor) -> Tensor:
    """The usual symmetric InfoNCE, as the field writes it."""
    scores = embeddings.video_BD @ embeddings.audio_BD.T / temperature
    clip_B = torch.arange(len(embeddings))
    return (functional.cross_entropy(scores, clip_B) + functional.cross_entropy(scores.T, clip_B)) / 2


def test_plain_infonce_is_the_loss_of_weight_one() -> None:
    embeddings = embeddings_of(4, 3)
    output = objective(cross_film_weight=1.0, temperature=0.2)(embeddings)
    expected = cross_entropy_of(embeddings, 0.2)
    torch.testing.assert_close(output.losses["contrastive"], expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(output.report["cross_entropy"], expected.detach(), rtol=1e-6, atol=1e-6)


def test_weight_zero_is_the_cross_entropy_among_the_clips_of_each_film_alone() -> None:
    embeddings = embeddings_of(4, 3)
    output = objective(cross_film_weight=0.0, temperature=0.2)(embeddings)
    films = [
        Embeddings(*(part[film : film + 3] for part in (embeddings.video_BD, embeddings.audio_BD, embeddings.film_B)))
        for film in range(0, 12, 3)
    ]
    expected = torch.stack([cross_entropy_of(film, 0.2) for film in films]).mean()
    torch.testing.assert_close(output.losses["contrastive"], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.7, 1.0])
def test_the_weight_says_how_much_the_which_film_part_counts(weight: float) -> None:
    output = objective(cross_film_weight=weight)(embeddings_of(4, 3))
    report = output.report
    expected = report["loss_within_film"] + weight * report["loss_which_film"]
    assert list(output.losses) == ["contrastive"]
    torch.testing.assert_close(output.losses["contrastive"].detach(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(report["cross_entropy"], report["loss_within_film"] + report["loss_which_film"])


def test_the_order_of_the_clips_changes_nothing() -> None:
    embeddings = embeddings_of(4, 3)
    shuffled = torch.randperm(12)
    parts = embeddings.video_BD[shuffled], embeddings.audio_BD[shuffled], embeddings.film_B[shuffled]
    before, after = (objective(cross_film_weight=0.3)(each).report for each in (embeddings, Embeddings(*parts)))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=0)


def test_the_two_modalities_count_alike() -> None:
    embeddings = embeddings_of(4, 3)
    swapped = Embeddings(embeddings.audio_BD, embeddings.video_BD, embeddings.film_B)
    before, after = (objective(cross_film_weight=0.3)(each).losses["contrastive"] for each in (embeddings, swapped))
    torch.testing.assert_close(before, after)


def test_gradients_of_both_towers_are_those_of_the_cross_entropy() -> None:
    embeddings = embeddings_of(4, 3)
    towers = embeddings.video_BD, embeddings.audio_BD
    got = torch.autograd.grad(objective(temperature=0.1)(embeddings).losses["contrastive"], towers)
    expected = torch.autograd.grad(cross_entropy_of(embeddings, 0.1), towers)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("films", "clips"), [(2, 1), (1, 4), (3, 5)])
def test_the_reported_share_of_negatives_is_the_planned_one(films: int, clips: int) -> None:
    report = objective()(embeddings_of(films, clips)).report
    assert report["within_film_share"].item() == pytest.approx(within_film_share(films, clips), abs=1e-7)


def test_towers_that_agree_are_right_everywhere() -> None:
    video_BD = functional.normalize(torch.randn(12, 32), dim=1)
    report = objective()(Embeddings(video_BD, video_BD.clone(), torch.arange(4).repeat_interleave(3))).report
    assert report["accuracy_within_film"] == report["accuracy_which_film"] == 1


def test_towers_that_know_the_film_alone_find_it_and_guess_the_clip() -> None:
    film_B = torch.arange(4).repeat_interleave(3)
    report = objective(temperature=0.01)(Embeddings(torch.eye(4)[film_B], torch.eye(4)[film_B], film_B)).report
    assert report["accuracy_which_film"] == 1
    assert report["loss_which_film"].item() == pytest.approx(0, abs=1e-6)
    assert report["loss_within_film"].item() == pytest.approx(math.log(3), abs=1e-5)


def test_a_fixed_temperature_gets_no_gradient_and_is_reported() -> None:
    fixed = objective(temperature=0.25)
    output = fixed(embeddings_of(2, 2))
    output.losses["contrastive"].backward()
    assert fixed.log_temperature.grad is None
    assert output.report["temperature"].item() == pytest.approx(0.25)


def test_a_learnt_temperature_gets_the_gradient_of_the_cross_entropy() -> None:
    embeddings, learnt = embeddings_of(3, 4), objective(temperature=0.25, learn_temperature=True)
    learnt(embeddings).losses["contrastive"].backward()
    log_temperature = torch.tensor(math.log(0.25), requires_grad=True)
    cross_entropy_of(embeddings, log_temperature.exp()).backward()
    torch.testing.assert_close(learnt.log_temperature.grad, log_temperature.grad, rtol=1e-5, atol=0)


def test_a_learnt_temperature_does_not_fall_below_a_hundredth() -> None:
    learnt = objective(temperature=0.1, learn_temperature=True)
    with torch.no_grad():
        learnt.log_temperature.fill_(math.log(1e-5))
    assert learnt(embeddings_of(2, 2)).report["temperature"].item() == pytest.approx(0.01)


def test_losses_and_gradients_are_finite_at_the_lowest_temperature() -> None:
    embeddings = embeddings_of(4, 3)
    loss = objective(temperature=0.01)(embeddings).losses["contrastive"]
    gradients = torch.autograd.grad(loss, (embeddings.video_BD, embeddings.audio_BD))
    assert loss.isfinite()
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_the_report_holds_no_graph() -> None:
    report = objective(learn_temperature=True)(embeddings_of(2, 2)).report
    assert [name for name, value in report.items() if value.requires_grad] == []


def test_descending_the_loss_pairs_the_clips_of_each_film() -> None:
    embeddings = embeddings_of(3, 4, dims=16)
    descent = torch.optim.Adam([embeddings.video_BD, embeddings.audio_BD], lr=0.05)
    within_film = objective(cross_film_weight=0.0)
    for _ in range(60):
        loss = within_film(embeddings).losses["contrastive"]
        descent.zero_grad()
        loss.backward()
        descent.step()
    assert loss < 0.05
    assert within_film(embeddings).report["accuracy_within_film"] == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"temperature": 0.001}, "'temperature' got 0.001: input should be greater than or equal to 0.01"),
        ({"cross_film_weight": 1.5}, "'cross_film_weight' got 1.5: input should be less than or equal to 1"),
        ({"cross_film_weight": -0.1}, "'cross_film_weight' got -0.1: input should be greater than or equal to 0"),
    ],
)
def test_numbers_out_of_bounds_are_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(ObjectiveConfig, values, "recipe x")


def test_a_temperature_learnt_too_low_can_rise_again() -> None:
    learnt = objective(temperature=0.1, learn_temperature=True)
    with torch.no_grad():
        learnt.log_temperature.fill_(math.log(1e-5))
    learnt(embeddings_of(2, 2)).losses["contrastive"].backward()
    assert learnt.log_temperature.grad is not None
    assert learnt.log_temperature.grad.item() != 0
