"""Decoupled and sigmoid losses, weights by time, agreement and recurrences against the slow reference."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_contrastive import views_of
from slow_pair_losses import Passage, SlowPairLoss, table_of
from torch import Tensor

from talkies.core import Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig

FPS, WINDOW = 8, 8
FILMS = [4, 4, 9, 4, 9, 2, 4, 4]  # of five, two and one clips, in no order
STARTS = [0, 8, 3, 20, 12, 0, 12, 12]  # two at the same moment
# Film 4 from frame 0 comes back 12 frames later, and in film 9; the last pair is of a film that no clip is of.
PASSAGES: tuple[Passage, ...] = ((4, 0, 4, 12, 11), (9, 0, 4, 6, 40), (7, 0, 4, 0, 10))
LEARNT = {"temperature": 0.5, "learn_temperature": True}
SOME = {"cross_film_weighs": "negatives", "cross_film_weight": 0.3}
KNOBS: dict[str, dict[str, Any]] = {
    "decoupled": {"loss": "decoupled", **LEARNT},
    "decoupled within films": {"loss": "decoupled", "cross_film_weighs": "negatives", "cross_film_weight": 0.0},
    "decoupled and all else": {
        "loss": "decoupled",
        "within_film_positives_seconds": 0.5,
        "time_weighting": "nearer",
        "time_scale_seconds": 2.0,
        "agreement": "ignore",
        "agreement_share": 0.3,
        "within_modal_weight": 0.7,
        **SOME,
        **LEARNT,
    },
    "sigmoid": {"loss": "sigmoid", "bias": -1.0, **LEARNT},
    "sigmoid of fixed bias": {"loss": "sigmoid", "bias": -2.0, "learn_bias": False},
    "sigmoid and all else": {
        "loss": "sigmoid",
        "bias": -1.0,
        "within_film_weight": 2.5,
        "within_modal_weight": 0.7,
        "within_film_positives_seconds": 0.5,
        "mask_nearer_than_seconds": 1.2,
        "time_weighting": "farther",
        "time_scale_seconds": 1.5,
        "agreement": "positives",
        "agreement_threshold": 0.2,
        **SOME,
        **LEARNT,
    },
    "farther": {"time_weighting": "farther", "time_scale_seconds": 1.0, **LEARNT},
    "nearer": {"time_weighting": "nearer", "time_scale_seconds": 1.0, "cross_film_weight": 0.4},
    "agreeing ignored": {"agreement": "ignore", "agreement_share": 0.4, "cross_film_weight": 0.4, **LEARNT},
    "agreeing over a threshold": {"agreement": "ignore", "agreement_threshold": 0.0, **SOME},
    "agreeing are positives": {"agreement": "positives", "agreement_share": 0.3, "agreement_threshold": -0.2, **LEARNT},
    "recurring": {"recurrences": "repeats.json", **SOME, **LEARNT},
    "all with infonce": {
        "recurrences": "repeats.json",
        "agreement": "positives",
        "agreement_share": 0.2,
        "time_weighting": "farther",
        "mask_nearer_than_seconds": 0.2,
        "within_modal_weight": 0.7,
        "cross_film_weight": 0.4,
        **LEARNT,
    },
}
SINGLE = {  # reported in single precision
    *("negatives", "within_film_share"),
    *(f"{of}accuracy_{what}_film" for of in ("", "within_modal_") for what in ("within", "which")),
}


def objective_of(config: ObjectiveConfig, fps: int = FPS, passages: Sequence[Passage] = PASSAGES) -> Any:
    table = table_of(passages, WINDOW) if config.recurrences else None
    return ContrastiveObjective(config, fps, table).double()


def expect_the_slow_numbers(
    config: ObjectiveConfig, fps: int, film: list[int], start: list[int], passages: Sequence[Passage] = PASSAGES
) -> None:
    fast, views = objective_of(config, fps, passages), views_of(config, film, start)
    bias = fast.bias.item() if config.loss == "sigmoid" else 0.0
    slow = SlowPairLoss(config, fps, fast.temperature.item(), bias, passages if config.recurrences else (), WINDOW)
    output, (losses, report) = fast(views), slow(views, config.cross_film_weight)
    assert {name: loss.item() for name, loss in output.losses.items()} == pytest.approx(losses, rel=0, abs=1e-10)
    own = {"temperature", "cross_film_weight", "bias", "alignment", "uniformity_video", "uniformity_audio"}
    assert output.report.keys() - own == report.keys()
    for name, expected in report.items():
        close = {"rel": 1e-6} if name in SINGLE else {"rel": 0, "abs": 1e-10}
        assert output.report[name].item() == pytest.approx(expected, **close), name


@pytest.mark.parametrize("block", [None, 1, 3, 50])
@pytest.mark.parametrize("knob", KNOBS)
def test_losses_and_report_are_those_of_the_slow_pairs(knob: str, block: int | None) -> None:
    expect_the_slow_numbers(ObjectiveConfig(**KNOBS[knob], block_clips=block), FPS, FILMS, STARTS)


def gradients_of(judge: ContrastiveObjective, views: list[Embeddings]) -> list[Tensor]:
    wanted = [part for view in views for part in (view.video_BD, view.audio_BD)]
    return list(torch.autograd.grad(sum(judge(views).losses.values()), [*wanted, *judge.learnt_parameters]))


@pytest.mark.parametrize("knob", KNOBS)
def test_gradients_in_blocks_are_those_of_the_whole(knob: str) -> None:
    views = views_of(ObjectiveConfig(**KNOBS[knob]), FILMS, STARTS)
    expected = gradients_of(objective_of(ObjectiveConfig(**KNOBS[knob])), views)
    for block in (1, 3, 64):
        got = gradients_of(objective_of(ObjectiveConfig(**KNOBS[knob], block_clips=block)), views)
        for mine, other in zip(got, expected, strict=True):
            assert other.norm() > 1e-3
            assert (mine - other).norm() < 1e-10 * other.norm()


@pytest.mark.parametrize("block", [None, 3])
@pytest.mark.parametrize("knob", KNOBS)
def test_gradients_are_the_finite_differences_of_the_slow_loss(knob: str, block: int | None) -> None:
    """Along a random direction of everything that is learnt, which the reference takes a small step along."""
    torch.manual_seed(1)  # which clips agree changes in jumps: with this seed none changes in the small step
    config = ObjectiveConfig(**KNOBS[knob], block_clips=block)
    judge, views = objective_of(config), views_of(config, FILMS, STARTS)
    gradients = gradients_of(judge, views)
    directions = [torch.randn_like(gradient) for gradient in gradients]
    slope = sum((g * d).sum().item() for g, d in zip(gradients, directions, strict=True))

    def slow_loss(step: float) -> float:
        count = 2 * len(views)
        moved = [
            (part + step * direction).detach()
            for part, direction in zip((p for v in views for p in (v.video_BD, v.audio_BD)), directions, strict=False)
        ]
        learnt = iter(directions[count:])
        temperature, bias = judge.temperature.item(), judge.bias.item() if config.loss == "sigmoid" else 0.0
        if config.learn_temperature:
            temperature *= torch.exp(step * next(learnt)).item()
        if config.loss == "sigmoid" and config.learn_bias:
            bias += step * next(learnt).item()
        slow = SlowPairLoss(config, FPS, temperature, bias, PASSAGES if config.recurrences else (), WINDOW)
        pairs = zip(moved[::2], moved[1::2], strict=True)
        parts = [Embeddings(*pair, views[0].film_B, views[0].start_B) for pair in pairs]
        return sum(slow(parts, config.cross_film_weight)[0].values())

    assert (slow_loss(1e-6) - slow_loss(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-5, abs=1e-7)


weights = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.01, 0.99))
passages_of = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 3), st.integers(0, 60), st.integers(1, 40)),
    max_size=4,
)


@st.composite
def configs(draw: st.DrawFn) -> ObjectiveConfig:
    """Any objective that is more than plain InfoNCE."""
    loss, agreement = (
        draw(st.sampled_from(["infonce", "decoupled", "sigmoid"])),
        draw(st.sampled_from(["none", "ignore", "positives"])),
    )
    limits = draw(st.sampled_from([(0.5, None), (None, 0.1), (0.8, -0.3), (1.0, None), (0.01, None)]))
    sigmoid = {"bias": draw(st.floats(-12, 2)), "learn_bias": draw(st.booleans()), "within_film_weight": 1.5}
    return ObjectiveConfig(
        loss=loss,
        cross_film_weight=draw(weights),
        cross_film_weighs=draw(st.sampled_from(["term", "negatives"])) if loss == "infonce" else "negatives",
        temperature=draw(st.floats(0.05, 10.0)),
        mask_nearer_than_seconds=draw(st.sampled_from([0.0, 0.5, 2.0])),
        within_film_positives_seconds=draw(st.sampled_from([0.0, 0.0, 0.5, 2.0])),
        within_modal_weight=draw(st.sampled_from([0.0, 0.0, 4.0])),
        block_clips=draw(st.sampled_from([None, 1, 2, 3, 64])),
        time_weighting=draw(st.sampled_from(["none", "farther", "nearer"])),
        time_scale_seconds=draw(st.sampled_from([0.3, 2.0, 100.0])),
        agreement=agreement,
        **({} if agreement == "none" else {"agreement_share": limits[0], "agreement_threshold": limits[1]}),
        recurrences=draw(st.sampled_from([None, "repeats.json"])),
        **(sigmoid if loss == "sigmoid" else {}),
    )


clips = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=7)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configs(), fps=st.sampled_from([1, 8]), clips=clips, passages=passages_of, seed=st.integers(0, 99))
def test_any_objective_on_any_clips_has_the_slow_numbers_and_finite_gradients(
    config: ObjectiveConfig, fps: int, clips: list[tuple[int, int]], passages: list[Passage], seed: int
) -> None:
    torch.manual_seed(seed)
    films, starts = [film for film, _ in clips], [start for _, start in clips]
    expect_the_slow_numbers(config, fps, films, starts, passages)
    judge, views = objective_of(config, fps, passages), views_of(config, films, starts)
    assert all(gradient.isfinite().all() for gradient in gradients_of(judge, views))
