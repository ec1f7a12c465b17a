"""A reference of the contrastive objective from its definitions, pair by pair, and clips to test it with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from talkies.core import Embeddings
from talkies.objectives import ClipPairs, ContrastiveObjective, ObjectiveConfig

Rows = list[list[float]]


@dataclass(frozen=True)
class Query:
    """What one query comes to: both parts in nats, the which-film part if other films weigh less, and its retrieval."""

    within_film: float
    which_film: float
    weighed: float
    is_best_within: bool
    is_film_found: bool
    negatives_within: int
    negatives_across: int

    @staticmethod
    def of(scores: list[float], kinds: list[str], weight: float) -> "Query":
        """Return it from the scores of all candidates, each `positive`, `within`, `across` or `masked`."""
        top = max(scores)
        chance = {"positive": 0.0, "within": 0.0, "across": 0.0, "masked": 0.0}
        best = dict.fromkeys(chance, -math.inf)
        for score, kind in zip(scores, kinds, strict=True):
            chance[kind] += math.exp(score - top)
            best[kind] = max(best[kind], score)
        positives = [score for score, kind in zip(scores, kinds, strict=True) if kind == "positive"]
        of_film = chance["positive"] + chance["within"]
        return Query(
            within_film=math.log(of_film) + top - sum(positives) / len(positives),
            which_film=-math.log(of_film / (of_film + chance["across"])),
            weighed=-math.log(of_film / (of_film + weight * chance["across"])),
            is_best_within=best["positive"] > best["within"],
            is_film_found=max(best["positive"], best["within"]) > best["across"],
            negatives_within=kinds.count("within"),
            negatives_across=kinds.count("across"),
        )


class SlowObjective:
    """The loss and the report of clips on one rank."""

    def __init__(self, config: ObjectiveConfig, fps: int, log_temperature: float) -> None:
        self.config, self.fps, self.temperature = config, fps, math.exp(log_temperature)

    def __call__(self, views: Sequence[Embeddings], step: int) -> tuple[dict[str, float], dict[str, float]]:
        points = self.config.cross_film_schedule
        weight = float(
            np.interp(
                step,
                [0, *(point.at_step for point in points)],
                [self.config.cross_film_weight, *(point.cross_film_weight for point in points)],
            )
        )
        films, starts = views[0].film_B.tolist(), views[0].start_B.tolist()
        kinds = [[self.kind(films, starts, query, clip) for clip in range(len(films))] for query in range(len(films))]
        video, audio = [view.video_BD.tolist() for view in views], [view.audio_BD.tolist() for view in views]
        losses, report = {}, {}
        across = [parts for pair in zip(video, audio, strict=True) for parts in (pair, pair[::-1])]
        losses["contrastive"] = self.mean(across, kinds, weight, report, "")
        if self.config.within_modal_weight:
            alike = [(video[0], video[1]), (video[1], video[0]), (audio[0], audio[1]), (audio[1], audio[0])]
            within_modal = self.mean(alike, kinds, weight, report, "within_modal_")
            losses["within_modal"] = self.config.within_modal_weight * within_modal
        return losses, report | {"temperature": self.temperature, "cross_film_weight": weight}

    def kind(self, films: list[int], starts: list[int], query: int, clip: int) -> str:
        if films[query] != films[clip]:
            return "across"
        seconds, reach = abs(starts[query] - starts[clip]) / self.fps, self.config.within_film_positives_seconds
        if query == clip or (reach and seconds <= reach):
            return "positive"
        return "masked" if seconds < self.config.mask_nearer_than_seconds else "within"

    def mean(
        self,
        parts: list[tuple[Rows, Rows]],
        kinds: list[list[str]],
        weight: float,
        report: dict[str, float],
        prefix: str,
    ) -> float:
        queries = []
        for query_rows, clip_rows in parts:
            for query_row, kinds_of_query in zip(query_rows, kinds, strict=True):
                scores = []
                for clip_row in clip_rows:
                    dot = sum(a * b for a, b in zip(query_row, clip_row, strict=True))
                    scores.append(dot / self.temperature)
                queries.append(Query.of(scores, kinds_of_query, weight))
        count = len(queries)
        within, which = sum(q.within_film for q in queries) / count, sum(q.which_film for q in queries) / count
        report[f"{prefix}loss_within_film"], report[f"{prefix}loss_which_film"] = within, which
        report[f"{prefix}cross_entropy"] = within + which
        report[f"{prefix}accuracy_within_film"] = sum(q.is_best_within for q in queries) / count
        report[f"{prefix}accuracy_which_film"] = sum(q.is_film_found for q in queries) / count
        if not prefix:
            inside, outside = sum(q.negatives_within for q in queries), sum(q.negatives_across for q in queries)
            report["within_film_share"] = inside / max(inside + outside, 1)
            report["negatives"] = (inside + outside) / count
        if self.config.cross_film_weighs == "term":
            return within + weight * which
        return within + sum(q.weighed for q in queries) / count


def embeddings_of(
    film: Sequence[int], start: Sequence[int] | None = None, dims: int = 6, dtype: torch.dtype = torch.float64
) -> Embeddings:
    """Random unit rows for clips of these films, that begin at these frames (10 frames apart)."""
    video_BD, audio_BD = (functional.normalize(torch.randn(len(film), dims, dtype=dtype), dim=1) for _ in range(2))
    start_B = torch.tensor(range(0, 10 * len(film), 10) if start is None else start)
    return Embeddings(video_BD.requires_grad_(), audio_BD.requires_grad_(), torch.tensor(film), start_B)


def views_of(config: ObjectiveConfig, film: Sequence[int], start: Sequence[int] | None = None) -> list[Embeddings]:
    """As many views of the same clips as an objective wants."""
    return [embeddings_of(film, start) for _ in range(config.views)]


def pairs_of(film: Sequence[int], start: Sequence[int] | None = None, **settings: int) -> ClipPairs:
    """The pairs of all clips of one rank."""
    film_B = torch.tensor(film)
    start_B = torch.arange(0, 10 * len(film), 10) if start is None else torch.tensor(start)
    return ClipPairs(film_B, start_B, film_B, start_B, 0, **settings)


def objective(fps: int = 1, **settings: Any) -> ContrastiveObjective:
    """An objective in float64."""
    return ContrastiveObjective(ObjectiveConfig(**settings), fps).double()
