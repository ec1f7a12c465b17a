"""Queues of keys together with the other losses, weights by time and recurrences, against plain loops over pairs."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from slow_contrastive import embeddings_of
from slow_pair_losses import Clips, Passage, SlowPairLoss, dot, table_of

from talkies.core import Embeddings
from talkies.objectives import BatchKeys, ContrastiveObjective, ObjectiveConfig

FPS, WINDOW = 8, 8
FILMS, STARTS = [4, 4, 9, 4, 9, 2], [0, 8, 3, 20, 12, 0]
QUEUED_FILMS, QUEUED_STARTS = [4, 4, 4, 9, 9, 9, 9], [2, 16, 40, 11, 30, 31, 90]  # some overlap with a query
PASSAGES: tuple[Passage, ...] = ((4, 0, 4, 38, 12), (9, 0, 4, 36, 14), (9, 28, 9, 88, 10))
LEARNT = {"temperature": 0.5, "learn_temperature": True}
SOME = {"cross_film_weighs": "negatives", "cross_film_weight": 0.3}
KNOBS: dict[str, dict[str, Any]] = {
    "decoupled": {"loss": "decoupled", **LEARNT},
    "decoupled within films": {"loss": "decoupled", "cross_film_weighs": "negatives", "cross_film_weight": 0.0},
    "sigmoid": {"loss": "sigmoid", "bias": -1.0, "within_film_weight": 2.5, **SOME, **LEARNT},
    "farther": {"time_weighting": "farther", "time_scale_seconds": 1.0, "cross_film_weight": 0.4, **LEARNT},
    "nearer": {"time_weighting": "nearer", "time_scale_seconds": 2.0, **SOME},
    "recurring": {"recurrences": "repeats.json", **LEARNT},
    "recurring in all films": {"recurrences": "repeats.json", "queue_negatives": "batch_films", **SOME},
    "sigmoid and all else": {
        "loss": "sigmoid",
        "bias": -1.0,
        "time_weighting": "farther",
        "time_scale_seconds": 1.5,
        "recurrences": "repeats.json",
        "queue_negatives": "batch_films",
        "within_modal_weight": 0.7,
        "mask_nearer_than_seconds": 1.2,
        **SOME,
        **LEARNT,
    },
    "decoupled and all else": {
        "loss": "decoupled",
        "time_weighting": "nearer",
        "recurrences": "repeats.json",
        "within_modal_weight": 0.7,
        "within_film_positives_seconds": 1.0,
        **SOME,
        **LEARNT,
    },
}


class SlowQueuedLoss(SlowPairLoss):
    """The reference with further candidates behind those of the batch: keys of queues."""

    def kind(self, clips: Clips, i: int, j: int) -> str:
        if j < len(FILMS):
            return super().kind(clips, i, j)
        same_film, frames = clips.films[i] == clips.films[j], abs(clips.starts[i] - clips.starts[j])
        if not same_film and self.config.queue_negatives == "own_film":
            return "none"  # the queue of another film is not its own
        if self.recurs(clips, i, j):
            return "ignored"
        if not same_film:
            return "across"
        seconds, reach = frames / self.fps, self.config.within_film_positives_seconds
        is_near = frames < self.window or seconds < self.config.mask_nearer_than_seconds
        return "ignored" if is_near or (reach and seconds <= reach) else "within"

    def compare(self, views: list[Embeddings], keys: BatchKeys) -> tuple[dict[str, float], dict[str, float]]:
        """Return the losses and the numbers of candidates of each kind."""
        clips = Clips(FILMS + QUEUED_FILMS, STARTS + QUEUED_STARTS, [], [])
        queries, candidates = range(len(FILMS)), range(len(clips.films))
        kinds = [[self.kind(clips, i, j) for j in candidates] for i in queries]
        weights = [[self.weight(clips, i, j) for j in candidates] for i in queries]
        rows = {(n, m): getattr(view, m).tolist() for n, view in enumerate(views) for m in ("video_BD", "audio_BD")}
        found = {
            (n, m): getattr(view, m).tolist() + getattr(keys.queued, m).tolist()
            for n, view in enumerate(keys.views)
            for m in ("video_BD", "audio_BD")
        }

        def mean(pairs: list[tuple[tuple[int, str], tuple[int, str]]]) -> float:
            losses = []
            for of_query, of_key in pairs:
                for i in queries:
                    scores = [dot(rows[of_query][i], key) / self.temperature for key in found[of_key]]
                    losses.append(self.query(scores, kinds[i], weights[i], self.config.cross_film_weight)["loss"])
            return sum(losses) / len(losses)

        numbers = range(len(views))
        both = (("video_BD", "audio_BD"), ("audio_BD", "video_BD"))
        losses = {"contrastive": mean([((n, one), (n, other)) for n in numbers for one, other in both])}
        if self.config.within_modal_weight:
            alike = mean([((n, m), (1 - n, m)) for n in numbers for m, _ in both])
            losses["within_modal"] = self.config.within_modal_weight * alike
        counts = {kind: sum(row.count(kind) for row in kinds) / len(FILMS) for kind in ("positive", "ignored")}
        counts["negatives"] = sum(row.count("within") + row.count("across") for row in kinds) / len(FILMS)
        return losses, counts


def case_of(knob: str, block: int | None) -> tuple[ContrastiveObjective, list[Embeddings], BatchKeys]:
    """An objective in double precision, this rank's clips, and the keys of both."""
    torch.manual_seed(3)
    config = ObjectiveConfig(queue_clips_per_film=4, **KNOBS[knob], block_clips=block)
    table = table_of(PASSAGES, WINDOW) if config.recurrences else None
    judge = ContrastiveObjective(config, FPS, table, window_frames=WINDOW).double()
    views = [embeddings_of(FILMS, STARTS) for _ in range(config.views)]
    keys = BatchKeys(
        tuple(embeddings_of(FILMS, STARTS) for _ in range(config.views)), embeddings_of(QUEUED_FILMS, QUEUED_STARTS)
    )
    return judge, views, keys


def slow_of(judge: ContrastiveObjective, temperature: float, bias: float) -> SlowQueuedLoss:
    passages = PASSAGES if judge.config.recurrences else ()
    return SlowQueuedLoss(judge.config, FPS, temperature, bias, passages, WINDOW)


def bias_of(judge: ContrastiveObjective) -> float:
    return judge.bias.item() if judge.config.loss == "sigmoid" else 0.0


@pytest.mark.parametrize("block", [None, 1, 4])
@pytest.mark.parametrize("knob", KNOBS)
def test_losses_against_queues_are_those_of_plain_loops(knob: str, block: int | None) -> None:
    judge, views, keys = case_of(knob, block)
    output = judge(views, 0, keys)
    losses, counts = slow_of(judge, judge.temperature.item(), bias_of(judge)).compare(views, keys)
    assert {name: loss.item() for name, loss in output.losses.items()} == pytest.approx(losses, rel=0, abs=1e-10)
    assert output.report["negatives"].item() == pytest.approx(counts["negatives"])
    if judge.config.time_weighting != "none" or judge.recurrences is not None:
        assert output.report["positives"].item() == pytest.approx(counts["positive"])
        assert output.report["ignored"].item() == pytest.approx(counts["ignored"])


@pytest.mark.parametrize("block", [None, 4])
@pytest.mark.parametrize("knob", KNOBS)
def test_gradients_against_queues_are_the_finite_differences_of_plain_loops(knob: str, block: int | None) -> None:
    judge, views, keys = case_of(knob, block)
    parts = [part for view in views for part in (view.video_BD, view.audio_BD)]
    gradients = torch.autograd.grad(sum(judge(views, 0, keys).losses.values()), [*parts, *judge.learnt_parameters])
    directions = [torch.randn_like(gradient) for gradient in gradients]
    slope = sum((g * d).sum().item() for g, d in zip(gradients, directions, strict=True))

    def slow_loss(step: float) -> float:
        moved = [(part + step * d).detach() for part, d in zip(parts, directions, strict=False)]
        learnt = iter(directions[len(parts) :])
        temperature, bias = judge.temperature.item(), bias_of(judge)
        if judge.config.learn_temperature:
            temperature *= torch.exp(step * next(learnt)).item()
        if judge.config.loss == "sigmoid":
            bias += step * next(learnt).item()
        rows = [
            Embeddings(*pair, views[0].film_B, views[0].start_B) for pair in zip(moved[::2], moved[1::2], strict=True)
        ]
        return sum(slow_of(judge, temperature, bias).compare(rows, keys)[0].values())

    assert (slow_loss(1e-6) - slow_loss(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_keys_that_recur_or_overlap_are_what_these_clips_are_tested_with() -> None:
    judge, _, keys = case_of("recurring in all films", None)
    slow = slow_of(judge, 0.5, 0.0)
    clips = Clips(FILMS + QUEUED_FILMS, STARTS + QUEUED_STARTS, [], [])
    queued = range(len(FILMS), len(clips.films))
    recurring = [(i, j) for i in range(len(FILMS)) for j in queued if slow.recurs(clips, i, j)]
    assert {clips.films[i] == clips.films[j] for i, j in recurring} == {True, False}
    assert len(keys.queued) == len(queued)


@pytest.mark.parametrize("how", ["ignore", "positives"])
def test_agreement_is_refused_with_a_queue(how: str) -> None:
    sentence = (
        "agreement compares the clips of a batch by the trained encoders, and queue_clips_per_film makes all "
        "candidates keys of another encoder: leave one of them out"
    )
    with pytest.raises(ValidationError, match=sentence):
        ObjectiveConfig(agreement=how, agreement_share=0.1, queue_clips_per_film=8)
