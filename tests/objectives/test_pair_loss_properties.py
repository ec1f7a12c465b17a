"""The losses as their papers write them, and what agreement, time and recurrences do to single clips."""

import math
import re
from typing import Any

import pytest
import torch
from slow_contrastive import embeddings_of, objective
from slow_pair_losses import table_of
from torch import Tensor
from torch.nn import functional

from talkies.config import check
from talkies.core import ConfigError, Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig, Recurrences

FORMS = pytest.mark.parametrize("block", [None, 2], ids=["whole", "in blocks"])
FILMS = [0, 0, 0, 1, 1, 2]


def loss_of(embeddings: Embeddings, **settings: Any) -> Tensor:
    return objective(**settings)([embeddings]).losses["contrastive"]


@FORMS
def test_the_decoupled_loss_is_the_papers(block: int | None) -> None:
    """Yeh et al. 2022, equation 6: the sum over all but the positive."""
    clips = embeddings_of(FILMS)
    scores = clips.video_BD @ clips.audio_BD.T / 0.2
    rivals = scores.masked_fill(torch.eye(6, dtype=torch.bool), -math.inf)
    expected = (rivals.logsumexp(1) + rivals.logsumexp(0)).mean() / 2 - scores.diagonal().mean()
    torch.testing.assert_close(
        loss_of(clips, loss="decoupled", temperature=0.2, block_clips=block), expected, rtol=1e-7, atol=0
    )


@FORMS
def test_the_sigmoid_loss_is_the_papers(block: int | None) -> None:
    """Zhai et al. 2023, algorithm 1."""
    clips = embeddings_of(FILMS)
    labels = 2 * torch.eye(6) - torch.ones(6, 6)
    logits = clips.video_BD @ clips.audio_BD.T / 0.1 - 10
    expected = -functional.logsigmoid(labels * logits).sum() / 6
    torch.testing.assert_close(loss_of(clips, loss="sigmoid", block_clips=block), expected, rtol=1e-6, atol=0)


def test_within_and_across_films_add_up_in_the_sigmoid_loss() -> None:
    clips = embeddings_of(FILMS)

    def loss(within: float, across: float) -> float:
        settings = {"within_film_weight": within, "cross_film_weight": across, "cross_film_weighs": "negatives"}
        return loss_of(clips, loss="sigmoid", bias=-1.0, **settings).item()

    both, within, across, doubled = loss(1, 1), loss(1, 0), loss(1e-12, 1), loss(2, 1)
    assert doubled - both == pytest.approx(both - across, rel=1e-6)
    report = objective(loss="sigmoid", bias=-1.0)([clips]).report
    parts = [report[f"loss_{name}"].item() for name in ("positives", "negatives_within_film", "negatives_across_films")]
    assert sum(parts) == pytest.approx(both)
    assert within == pytest.approx(parts[0] + parts[1])


@pytest.mark.parametrize("loss", ["infonce", "decoupled", "sigmoid"])
def test_the_two_terms_are_reported_alike_with_every_loss(loss: str) -> None:
    clips = embeddings_of(FILMS)
    plain, other = (objective(loss=name)([clips]).report for name in ("infonce", loss))
    for name in plain:
        assert other[name].item() == plain[name].item(), name


@pytest.mark.parametrize("loss", ["decoupled", "sigmoid"])
def test_descending_another_loss_pairs_the_clips(loss: str) -> None:
    clips = embeddings_of([0, 0, 0, 0, 1, 1, 1, 1], dims=16)
    judge = objective(
        loss=loss, temperature=0.2, learn_temperature=True, **({"bias": -2.0} if loss == "sigmoid" else {})
    )
    descent = torch.optim.Adam([clips.video_BD, clips.audio_BD, *judge.learnt_parameters], lr=0.05)
    for _ in range(60):
        descent.zero_grad()
        judge([clips]).losses["contrastive"].backward()
        descent.step()
    report = judge([clips]).report
    assert report["accuracy_within_film"] == report["accuracy_which_film"] == 1
    assert loss == "decoupled" or report["bias"] != -2.0


def test_only_the_sigmoid_loss_has_a_bias() -> None:
    assert list(objective().state_dict()) == list(objective(loss="decoupled").state_dict()) == ["log_temperature"]
    assert list(objective(loss="sigmoid").state_dict()) == ["log_temperature", "bias"]
    assert objective(loss="sigmoid", learn_bias=False).learnt_parameters == ()


@FORMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loss", ["decoupled", "sigmoid"])
def test_other_losses_are_finite_at_the_lowest_temperature(loss: str, dtype: torch.dtype, block: int | None) -> None:
    it = embeddings_of(FILMS)
    towers = [part.detach().to(dtype).requires_grad_() for part in (it.video_BD, it.audio_BD)]
    config = ObjectiveConfig(loss=loss, temperature=0.01, block_clips=block)
    total = ContrastiveObjective(config)([Embeddings(*towers, it.film_B, it.start_B)]).losses["contrastive"]
    assert total.dtype == torch.float32
    assert total.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, towers))


@FORMS
def test_a_query_without_any_negative_adds_nothing_to_the_decoupled_loss(block: int | None) -> None:
    clips = embeddings_of([0, 0], [0, 4])
    judge = objective(loss="decoupled", mask_nearer_than_seconds=5.0, block_clips=block)
    loss = judge([clips]).losses["contrastive"]
    assert loss == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, (clips.video_BD, clips.audio_BD)))


def twins(clips: Embeddings, one: int, other: int) -> Embeddings:
    """The clips, of which two are the same in both modalities, and another pair in pictures alone."""
    video_BD, audio_BD = clips.video_BD.detach().clone(), clips.audio_BD.detach().clone()
    video_BD[other], audio_BD[other] = video_BD[one], audio_BD[one]
    video_BD[4] = video_BD[5]
    return Embeddings(video_BD.requires_grad_(), audio_BD.requires_grad_(), clips.film_B, clips.start_B)


@FORMS
@pytest.mark.parametrize(
    "limit", [{"agreement_threshold": 0.99}, {"agreement_threshold": 0.99, "agreement_share": 0.2}]
)
def test_a_clip_like_the_query_in_both_modalities_is_no_negative(limit: dict[str, float], block: int | None) -> None:
    clips = twins(embeddings_of(FILMS, dims=32), 0, 3)
    report = objective(agreement="ignore", **limit, block_clips=block)([clips]).report
    assert report["ignored"] == pytest.approx(2 / 6)
    assert report["positives"] == 1
    gradient = torch.autograd.grad(
        objective(agreement="ignore", **limit, block_clips=block)([clips]).losses["contrastive"], clips.audio_BD
    )[0]
    assert gradient.isfinite().all()
    as_positives = objective(agreement="positives", **limit, block_clips=block)([clips]).report
    assert as_positives["positives"] == pytest.approx(1 + report["ignored"].item())
    assert as_positives["ignored"] == 0


def test_agreement_says_which_clips_and_has_no_gradient_of_its_own() -> None:
    clips = twins(embeddings_of(FILMS), 0, 3)
    judge = objective(agreement="ignore", agreement_threshold=0.999, cross_film_weight=0.5, temperature=0.5)
    got = torch.autograd.grad(judge([clips]).losses["contrastive"], (clips.video_BD, clips.audio_BD))
    scores = clips.video_BD @ clips.audio_BD.T / 0.5
    ignored = torch.zeros(6, 6, dtype=torch.bool)
    ignored[0, 3] = ignored[3, 0] = True
    same_film = torch.tensor(FILMS)[:, None] == torch.tensor(FILMS)
    loss = torch.zeros(())
    for each in (scores, scores.T):
        within = each.masked_fill(~same_film | ignored, -math.inf).logsumexp(1)
        whole = each.masked_fill(ignored, -math.inf).logsumexp(1)
        loss = loss + (within - each.diagonal() + 0.5 * (whole - within)).mean() / 2
    torch.testing.assert_close(got, torch.autograd.grad(loss, (clips.video_BD, clips.audio_BD)), rtol=1e-6, atol=1e-12)


@FORMS
def test_at_the_same_moment_a_farther_weighted_negative_is_ignored_and_far_away_it_counts_whole(
    block: int | None,
) -> None:
    clips = embeddings_of([0, 0, 0], [0, 0, 1000])
    weighted = objective(time_weighting="farther", time_scale_seconds=1.0, block_clips=block)([clips])
    masked = objective(mask_nearer_than_seconds=1.0)([clips])
    torch.testing.assert_close(weighted.losses["contrastive"], masked.losses["contrastive"], rtol=1e-12, atol=0)
    assert weighted.report["negatives"] == masked.report["negatives"] == pytest.approx(4 / 3)


@FORMS
def test_near_negatives_alone_count_where_nearer_ones_weigh_more(block: int | None) -> None:
    clips = embeddings_of([0, 0, 0], [0, 0, 10_000])
    near = Embeddings(clips.video_BD[:2], clips.audio_BD[:2], clips.film_B[:2], clips.start_B[:2])
    got = objective(time_weighting="nearer", time_scale_seconds=1.0, block_clips=block)([clips])
    expected = objective()([near]).losses["contrastive"] * 2 / 3  # the third clip has nothing near
    torch.testing.assert_close(got.losses["contrastive"], expected, rtol=1e-12, atol=1e-15)


def ignored_pairs(table: Recurrences, film: list[int], start: list[int]) -> set[tuple[int, int]]:
    shape = (len(film), len(film))
    pairs = table.find_pairs(torch.tensor(film), torch.tensor(start), shape, 0)
    found = pairs.mark(slice(None), slice(None))
    tiles = [
        torch.cat([pairs.mark(slice(r, r + 2), slice(c, c + 3)) for c in range(0, shape[1], 3)], 1)
        for r in range(0, shape[0], 2)
    ]
    assert torch.equal(torch.cat(tiles), found)
    return {(i, j) for i, j in found.nonzero().tolist() if i < j}


@pytest.mark.parametrize(
    ("film", "start", "found"),
    [
        ([5, 5], [100, 200], {(0, 1)}),  # the same moment of both
        ([5, 5], [100, 204], {(0, 1)}),  # half a clip later
        ([5, 5], [100, 205], set()),
        ([5, 5], [100, 230], set()),  # another moment of the passage
        ([5, 5], [96, 196], {(0, 1)}),  # half of each is before the passage
        ([5, 5], [95, 195], set()),
        ([5, 5], [136, 236], {(0, 1)}),  # half of each is after it
        ([5, 5], [137, 237], set()),
        ([5, 5], [100, 100], set()),  # in the same place nothing comes back
        ([5, 6], [100, 200], set()),  # in another film
        ([6, 7, 6], [10, 10, 17], {(0, 1)}),
        ([5, 5, 5, 6, 7], [108, 208, 20, 10, 12], {(0, 1), (3, 4)}),
    ],
)
def test_clips_of_the_same_moment_of_a_passage_recur(film: list[int], start: list[int], found: set[Any]) -> None:
    table = table_of([(5, 100, 5, 200, 40), (7, 0, 6, 0, 30)], window=8)
    assert ignored_pairs(table, film, start) == found


def test_recurring_clips_are_no_negatives_within_and_across_films_and_others_are() -> None:
    clips = embeddings_of([5, 5, 5, 6, 7], [108, 208, 20, 10, 12])
    table = table_of([(5, 100, 5, 200, 40), (7, 0, 6, 0, 30)], window=8)
    judge = ContrastiveObjective(ObjectiveConfig(recurrences="repeats.json"), 1, table).double()
    report = judge([clips]).report
    assert report["ignored"] == pytest.approx(4 / 5)
    assert report["negatives"] == pytest.approx((20 - 4) / 5)
    assert report["within_film_share"] == pytest.approx(4 / 16)


def test_an_empty_table_changes_nothing() -> None:
    clips = embeddings_of(FILMS)
    judge = ContrastiveObjective(ObjectiveConfig(recurrences="repeats.json"), 1, table_of([], 8)).double()
    assert judge([clips]).losses["contrastive"].item() == loss_of(clips).item()


def test_a_config_and_its_recurrences_belong_together() -> None:
    for config, table in ((ObjectiveConfig(recurrences="x"), None), (ObjectiveConfig(), table_of([], 8))):
        with pytest.raises(ValueError, match="the recurrences that a config names must be given"):
            ContrastiveObjective(config, 1, table)


def test_the_digest_of_recurrences_changes_with_each_number() -> None:
    rows = [(5, 100, 5, 200, 40), (5, 101, 5, 200, 40), (5, 100, 6, 200, 40), (5, 100, 5, 200, 41)]
    assert len({table_of([row], 8).digest for row in rows}) == 4
    assert table_of(rows[:1], 8).digest == table_of(rows[:1], 8).digest


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"loss": "sigmoid", "cross_film_weight": 0.1},
            "loss=sigmoid has no which-film term, so cross_film_weight can only weigh negatives",
        ),
        (
            {"loss": "decoupled", "cross_film_schedule": [{"at_step": 9, "cross_film_weight": 0.5}]},
            "loss=decoupled has no which-film term, so cross_film_weight can only weigh negatives",
        ),
        (
            {
                "loss": "sigmoid",
                "within_film_weight": 0,
                "cross_film_weighs": "negatives",
                "cross_film_schedule": [{"at_step": 9, "cross_film_weight": 0}],
            },
            "with within_film_weight = 0 and cross_film_weight = 0 no negatives count",
        ),
        ({"bias": -1}, "bias belongs to loss=sigmoid, and loss is infonce: leave it out"),
        ({"loss": "decoupled", "learn_bias": False}, "learn_bias belongs to loss=sigmoid, and loss is decoupled"),
        ({"within_film_weight": 2}, "within_film_weight belongs to loss=sigmoid, and loss is infonce: leave it out"),
        ({"agreement": "ignore"}, "agreement=ignore needs agreement_share or agreement_threshold"),
        (
            {"agreement_share": 0.1},
            "agreement_share and agreement_threshold say which clips agree, and agreement is none",
        ),
        ({"agreement": "ignore", "agreement_share": 0}, "'agreement_share' got 0: input should be greater than 0"),
        ({"time_scale_seconds": 0}, "'time_scale_seconds' got 0: input should be greater than 0"),
        ({"time_weighting": "far"}, "'time_weighting' got 'far': input should be 'none', 'farther' or 'nearer'"),
        ({"loss": "siglip"}, "'loss' got 'siglip': input should be 'infonce', 'decoupled' or 'sigmoid'"),
    ],
)
def test_combinations_without_a_meaning_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(ObjectiveConfig, values, "recipe x")
