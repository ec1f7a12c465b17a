"""A second reference, pair by pair in Python's floats: every loss, agreement, weights by time, and recurrences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from slow_contrastive import Rows

from talkies.core import Embeddings
from talkies.objectives import ObjectiveConfig, Recurrences

Passage = tuple[int, int, int, int, int]
"""A film and the first frame there, another film and the first frame there, and how many frames both last."""


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def table_of(passages: Sequence[Passage], window: int) -> Recurrences:
    rows = torch.tensor([(a, b, s, t, n) for a, s, b, t, n in passages], dtype=torch.int64).reshape(-1, 5)
    return Recurrences(rows[:, :2], rows[:, 2:4], rows[:, 4], window)


@dataclass
class Clips:
    """All that the reference knows of a batch."""

    films: list[int]
    starts: list[int]
    video: list[Rows]  # of each view
    audio: list[Rows]

    @staticmethod
    def of(views: Sequence[Embeddings]) -> "Clips":
        video, audio = [view.video_BD.tolist() for view in views], [view.audio_BD.tolist() for view in views]
        return Clips(views[0].film_B.tolist(), views[0].start_B.tolist(), video, audio)


@dataclass
class SlowPairLoss:
    """The losses and the report of clips on one rank."""

    config: ObjectiveConfig
    fps: int
    temperature: float
    bias: float = 0.0
    passages: Sequence[Passage] = ()
    window: int = 1

    def __call__(self, views: Sequence[Embeddings], weight: float) -> tuple[dict[str, float], dict[str, float]]:
        clips, report = Clips.of(views), {}
        kinds = [[self.kind(clips, i, j) for j in range(len(clips.films))] for i in range(len(clips.films))]
        weights = [[self.weight(clips, i, j) for j in range(len(clips.films))] for i in range(len(clips.films))]
        across = [parts for pair in zip(clips.video, clips.audio, strict=True) for parts in (pair, pair[::-1])]
        losses = {"contrastive": self.mean(across, kinds, weights, weight, report, "")}
        if self.config.within_modal_weight:
            alike = [tuple(side[::way]) for side in (clips.video, clips.audio) for way in (1, -1)]
            loss = self.mean(alike, kinds, weights, weight, report, "within_modal_")
            losses["within_modal"] = self.config.within_modal_weight * loss

        # Count what is neither.
        count = len(clips.films)
        number = {kind: sum(row.count(kind) for row in kinds) for kind in ("positive", "within", "across", "ignored")}
        report["negatives"] = (number["within"] + number["across"]) / count
        report["within_film_share"] = number["within"] / max(number["within"] + number["across"], 1)
        if self.config.agreement != "none" or self.config.time_weighting != "none" or self.passages:
            report |= {"positives": number["positive"] / count, "ignored": number["ignored"] / count}
        return losses, report

    def kind(self, clips: Clips, i: int, j: int) -> str:
        """What a candidate is to a query."""
        same_film, seconds = clips.films[i] == clips.films[j], abs(clips.starts[i] - clips.starts[j]) / self.fps
        reach, agrees = self.config.within_film_positives_seconds, self.agrees(clips, i, j)
        if i == j or (same_film and reach and seconds <= reach) or (agrees and self.config.agreement == "positives"):
            return "positive"
        if same_film and seconds < self.config.mask_nearer_than_seconds:
            return "ignored"
        if agrees or self.recurs(clips, i, j) or (same_film and self.weight(clips, i, j) == 0):
            return "ignored"
        return "within" if same_film else "across"

    def weight(self, clips: Clips, i: int, j: int) -> float:
        if self.config.time_weighting == "none" or clips.films[i] != clips.films[j]:
            return 1.0
        nearness = math.exp(-abs(clips.starts[i] - clips.starts[j]) / self.fps / self.config.time_scale_seconds)
        return nearness if self.config.time_weighting == "nearer" else 1 - nearness

    def agrees(self, clips: Clips, i: int, j: int) -> bool:
        if self.config.agreement == "none" or i == j:
            return False
        video, audio = clips.video[0], clips.audio[0]
        of = [min(dot(video[i], video[n]), dot(audio[i], audio[n])) for n in range(len(video))]
        if self.config.agreement_threshold is not None and of[j] < self.config.agreement_threshold:
            return False
        if self.config.agreement_share is None:
            return True
        better = sum(of[n] > of[j] for n in range(len(of)) if n not in (i, j))
        return better < math.floor(self.config.agreement_share * (len(of) - 1) + 1e-9)

    def recurs(self, clips: Clips, i: int, j: int) -> bool:
        """Whether half a clip or more is common to both, frame by frame."""
        for one, other in ((i, j), (j, i)):
            for film, start, other_film, other_start, frames in self.passages:
                if (clips.films[one], clips.films[other]) == (film, other_film):
                    of_one = {frame - start for frame in range(clips.starts[one], clips.starts[one] + self.window)}
                    of_other = {n - other_start for n in range(clips.starts[other], clips.starts[other] + self.window)}
                    if 2 * len(of_one & of_other & set(range(frames))) >= self.window:
                        return True
        return False

    def mean(
        self,
        parts: list[tuple[Rows, Rows]],
        kinds: list[list[str]],
        weights: list[list[float]],
        weight: float,
        report: dict[str, float],
        prefix: str,
    ) -> float:
        queries = [
            self.query([dot(query, clip) / self.temperature for clip in rows[1]], kinds[i], weights[i], weight)
            for rows in parts
            for i, query in enumerate(rows[0])
        ]
        means = {name: sum(query[name] for query in queries) / len(queries) for name in queries[0]}
        loss = means.pop("loss")
        report |= {prefix + name: value for name, value in means.items()}
        return loss

    def query(self, scores: list[float], kinds: list[str], weights: list[float], weight: float) -> dict[str, float]:
        """What one query adds to each number."""
        of = {kind: [n for n, other in enumerate(kinds) if other == kind] for kind in ("positive", "within", "across")}
        positive = sum(scores[n] for n in of["positive"]) / len(of["positive"])
        positives = sum(math.exp(scores[n]) for n in of["positive"])
        rivals = sum(weights[n] * math.exp(scores[n]) for n in of["within"])
        others = sum(math.exp(scores[n]) for n in of["across"])
        best = {kind: max((scores[n] for n in members), default=-math.inf) for kind, members in of.items()}
        numbers = {
            "loss_within_film": math.log(positives + rivals) - positive,
            "loss_which_film": math.log(positives + rivals + others) - math.log(positives + rivals),
            "cross_entropy": math.log(positives + rivals + others) - positive,
            "accuracy_within_film": float(best["positive"] > best["within"]),
            "accuracy_which_film": float(max(best["positive"], best["within"]) > best["across"]),
        }
        if self.config.loss == "infonce":
            weighed = math.log(positives + rivals + weight * others) - positive
            term = numbers["loss_within_film"] + weight * numbers["loss_which_film"]
            return {"loss": term if self.config.cross_film_weighs == "term" else weighed} | numbers
        if self.config.loss == "decoupled":
            left = rivals + weight * others
            return {"loss": math.log(left) - positive if left else 0.0} | numbers

        def cost(logit: float) -> float:
            return math.log1p(math.exp(-logit))

        parts = {
            "loss_positives": sum(cost(scores[n] + self.bias) for n in of["positive"]),
            "loss_negatives_within_film": self.config.within_film_weight
            * sum(weights[n] * cost(-scores[n] - self.bias) for n in of["within"]),
            "loss_negatives_across_films": weight * sum(cost(-scores[n] - self.bias) for n in of["across"]),
        }
        return {"loss": sum(parts.values())} | numbers | parts
