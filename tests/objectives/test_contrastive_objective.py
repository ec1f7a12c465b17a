"""What the objective reports about towers, films and temperatures."""

import math
import re
from typing import Any

import pytest
import torch
from slow_contrastive import embeddings_of, objective
from torch import Tensor
from torch.nn import functional

from talkies.config import check
from talkies.core import ConfigError, Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig, ObjectiveOutput
from talkies.sampling import within_film_share


def films_of(films: int, clips: int) -> list[int]:
    return torch.arange(films).repeat_interleave(clips).tolist()


def judged(embeddings: Embeddings, **settings: Any) -> ObjectiveOutput:
    return objective(**settings).to(embeddings.video_BD.dtype)([embeddings])


def cross_entropy_of(embeddings: Embeddings, temperature: float | Tensor) -> Tensor:
    """The usual symmetric InfoNCE, as the field writes it."""
    scores = embeddings.video_BD @ embeddings.audio_BD.T / temperature
    clip_B = torch.arange(len(embeddings))
    return (functional.cross_entropy(scores, clip_B) + functional.cross_entropy(scores.T, clip_B)) / 2


def part_of(embeddings: Embeddings, clips: slice | Tensor) -> Embeddings:
    parts = embeddings.video_BD, embeddings.audio_BD, embeddings.film_B, embeddings.start_B
    return Embeddings(*(part[clips] for part in parts))


def test_plain_infonce_is_the_loss_of_weight_one() -> None:
    embeddings = embeddings_of(films_of(4, 3))
    output, expected = judged(embeddings, temperature=0.25), cross_entropy_of(embeddings, 0.25)
    assert list(output.losses) == ["contrastive"]
    torch.testing.assert_close(output.losses["contrastive"], expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(output.report["cross_entropy"], expected.detach(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("weighs", ["term", "negatives"])
def test_weight_zero_is_the_cross_entropy_among_the_clips_of_each_film_alone(weighs: str) -> None:
    embeddings = embeddings_of(films_of(4, 3))
    output = judged(embeddings, cross_film_weight=0.0, cross_film_weighs=weighs, temperature=0.25)
    films = [cross_entropy_of(part_of(embeddings, slice(film, film + 3)), 0.25) for film in range(0, 12, 3)]
    torch.testing.assert_close(output.losses["contrastive"], torch.stack(films).mean(), rtol=1e-7, atol=0)


def test_the_order_of_the_clips_changes_nothing() -> None:
    settings = {"cross_film_weight": 0.3, "mask_nearer_than_seconds": 15.0, "within_film_positives_seconds": 10.0}
    embeddings = embeddings_of(films_of(4, 3))
    before, after = (judged(each, **settings).report for each in (embeddings, part_of(embeddings, torch.randperm(12))))
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-12)


def test_the_two_modalities_count_alike() -> None:
    it = embeddings_of(films_of(4, 3))
    swapped = Embeddings(it.audio_BD, it.video_BD, it.film_B, it.start_B)
    before, after = (judged(each, cross_film_weight=0.3).losses["contrastive"] for each in (it, swapped))
    torch.testing.assert_close(before, after)


def test_gradients_of_both_towers_are_those_of_the_cross_entropy() -> None:
    embeddings = embeddings_of(films_of(4, 3))
    towers = embeddings.video_BD, embeddings.audio_BD
    got = torch.autograd.grad(judged(embeddings, temperature=0.5).losses["contrastive"], towers)
    torch.testing.assert_close(got, torch.autograd.grad(cross_entropy_of(embeddings, 0.5), towers), rtol=1e-6, atol=0)


def test_two_views_of_one_look_have_one_loss_and_their_own_within_each_modality() -> None:
    view = embeddings_of(films_of(3, 2))
    output = objective(within_modal_weight=0.5, temperature=0.5)([view, view])
    torch.testing.assert_close(output.losses["contrastive"], cross_entropy_of(view, 0.5), rtol=1e-6, atol=0)
    alike = [Embeddings(part, part, view.film_B, view.start_B) for part in (view.video_BD, view.audio_BD)]
    expected = torch.stack([cross_entropy_of(each, 0.5) for each in alike]).mean()
    assert list(output.losses) == ["contrastive", "within_modal"]
    torch.testing.assert_close(output.losses["within_modal"], 0.5 * expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("films", "clips"), [(2, 1), (1, 4), (3, 5)])
def test_the_reported_share_of_negatives_is_the_planned_one(films: int, clips: int) -> None:
    report = judged(embeddings_of(films_of(films, clips))).report
    assert report["within_film_share"].item() == pytest.approx(within_film_share(films, clips), abs=1e-7)
    assert report["negatives"] == films * clips - 1


def test_towers_that_agree_are_right_everywhere() -> None:
    video_BD = functional.normalize(torch.randn(12, 32), dim=1)
    report = judged(Embeddings(video_BD, video_BD.clone(), torch.tensor(films_of(4, 3)), torch.arange(12))).report
    assert report["accuracy_within_film"] == report["accuracy_which_film"] == 1


def test_towers_that_give_one_embedding_for_all_are_right_nowhere() -> None:
    same_BD = torch.eye(4)[[0] * 6]
    report = judged(Embeddings(same_BD, same_BD, torch.tensor(films_of(3, 2)), torch.arange(6))).report
    assert report["accuracy_within_film"] == report["accuracy_which_film"] == 0


def test_towers_that_know_the_film_alone_find_it_and_guess_the_clip() -> None:
    film_B = torch.tensor(films_of(4, 3))
    embeddings = Embeddings(torch.eye(4)[film_B], torch.eye(4)[film_B], film_B, torch.arange(12))
    report = judged(embeddings, temperature=0.01).report
    assert report["accuracy_which_film"] == 1
    assert report["loss_which_film"].item() == pytest.approx(0, abs=1e-6)
    assert report["loss_within_film"].item() == pytest.approx(math.log(3), abs=1e-5)


def test_a_fixed_temperature_gets_no_gradient_and_is_reported() -> None:
    fixed = objective(temperature=0.25)
    output = fixed([embeddings_of([0, 0, 1, 1])])
    output.losses["contrastive"].backward()
    assert fixed.log_temperature.grad is None
    assert output.report["temperature"].item() == pytest.approx(0.25)


def test_a_learnt_temperature_gets_the_gradient_of_the_cross_entropy() -> None:
    embeddings, learnt = embeddings_of(films_of(3, 4)), objective(temperature=0.25, learn_temperature=True)
    learnt([embeddings]).losses["contrastive"].backward()
    log_temperature = torch.tensor(math.log(0.25), requires_grad=True)
    cross_entropy_of(embeddings, log_temperature.exp()).backward()
    torch.testing.assert_close(learnt.log_temperature.grad.float().squeeze(), log_temperature.grad, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("learnt_to", "bound"), [(1e-5, 0.01), (1e3, 10.0)])
def test_a_learnt_temperature_keeps_within_its_bounds_and_can_come_back(learnt_to: float, bound: float) -> None:
    learnt = objective(temperature=0.1, learn_temperature=True)
    with torch.no_grad():
        learnt.log_temperature.fill_(math.log(learnt_to))
    output = learnt([embeddings_of([0, 0, 1, 1])])
    output.losses["contrastive"].backward()
    assert output.report["temperature"].item() == pytest.approx(bound)
    assert learnt.log_temperature.item() == pytest.approx(math.log(bound))
    assert learnt.log_temperature.grad.item() != 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("block", [None, 5])
def test_losses_and_gradients_are_finite_at_the_lowest_temperature(dtype: torch.dtype, block: int | None) -> None:
    it = embeddings_of(films_of(4, 3))
    towers = [part.detach().to(dtype).requires_grad_() for part in (it.video_BD, it.audio_BD)]
    judge = ContrastiveObjective(ObjectiveConfig(temperature=0.01, within_modal_weight=1.0, block_clips=block))
    view = Embeddings(*towers, it.film_B, it.start_B)
    loss = sum(judge([view, view]).losses.values())
    gradients = torch.autograd.grad(loss, towers)
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert all(gradient.dtype == dtype and gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_half_precision_around_the_objective_changes_nothing_in_it() -> None:
    it = embeddings_of(films_of(4, 3), dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        within = objective().float()([it]).losses["contrastive"]
    assert torch.equal(within, objective().float()([it]).losses["contrastive"])


def test_the_report_holds_no_graph() -> None:
    report = judged(embeddings_of([0, 0, 1, 1]), learn_temperature=True).report
    assert [name for name, value in report.items() if value.requires_grad] == []


@pytest.mark.parametrize("block", [None, 5])
@pytest.mark.parametrize("weighs", ["term", "negatives"])
def test_descending_the_loss_pairs_the_clips_of_each_film(weighs: str, block: int | None) -> None:
    embeddings = embeddings_of(films_of(3, 4), dims=16)
    descent = torch.optim.Adam([embeddings.video_BD, embeddings.audio_BD], lr=0.05)
    within_film = objective(cross_film_weight=0.0, cross_film_weighs=weighs, block_clips=block)
    for _ in range(60):
        loss = within_film([embeddings]).losses["contrastive"]
        descent.zero_grad()
        loss.backward()
        descent.step()
    assert loss < 0.05
    assert within_film([embeddings]).report["accuracy_within_film"] == 1


def test_the_weight_of_other_films_goes_in_straight_lines_from_point_to_point() -> None:
    points = [{"at_step": 10, "cross_film_weight": 0.0}, {"at_step": 20, "cross_film_weight": 0.5}]
    config = check(ObjectiveConfig, {"cross_film_weight": 1.0, "cross_film_schedule": points}, "recipe x")
    weights = [config.compute_cross_film_weight(step) for step in (0, 5, 10, 15, 20, 1000)]
    assert weights == pytest.approx([1.0, 0.5, 0.0, 0.25, 0.5, 0.5])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"temperature": 0.001}, "'temperature' got 0.001: input should be greater than or equal to 0.01"),
        ({"cross_film_weight": 1.5}, "'cross_film_weight' got 1.5: input should be less than or equal to 1"),
        ({"cross_film_weight": -0.1}, "'cross_film_weight' got -0.1: input should be greater than or equal to 0"),
        ({"block_clips": 0}, "'block_clips' got 0: input should be greater than or equal to 1"),
        ({"cross_film_weighs": "terms"}, "'cross_film_weighs' got 'terms': input should be 'term' or 'negatives'"),
        (
            {"cross_film_schedule": [{"at_step": n, "cross_film_weight": 1} for n in (9, 9)]},
            "the points of cross_film_schedule must come in the order of their steps, got [9, 9]",
        ),
    ],
)
def test_what_no_objective_can_be_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(ObjectiveConfig, values, "recipe x")
