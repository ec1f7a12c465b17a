"""A reference of training with a queue for each film, from its definition: plain loops over pairs in double precision.

Only the derivatives of the sums are PyTorch's.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from talkies.objectives import ObjectiveConfig

KINDS = ("positive", "within", "across")
Row = list[Any]  # of numbers, or of scalars with a gradient


class Clip(NamedTuple):
    """A clip: its film, where it begins, and the features of each of its views."""

    film: int
    start: int
    video: list[list[float]]
    audio: list[list[float]]


class Key(NamedTuple):
    """A key in a queue, with numbers of both modalities."""

    start: int
    video: list[float]
    audio: list[float]


class SlowQueueTraining:
    """Two linear towers that are trained by gradient descent against keys."""

    def __init__(self, config: ObjectiveConfig, fps: int, window: int, weights: dict[str, Tensor], rate: float) -> None:
        self.config, self.fps, self.window, self.rate = config, fps, window, rate
        self.weights = {name: tensor.clone() for name, tensor in weights.items()}
        self.momentum = {name: self.weights[name].clone() for name in ("video", "audio")}
        self.queue: dict[int, list[Key]] = defaultdict(list)

    def step(self, clips: Sequence[Clip], weight: float) -> dict[str, Any]:
        """Take one step, and return its losses, its gradients, and how many negatives queries had."""
        weights = {name: tensor.clone().requires_grad_() for name, tensor in self.weights.items()}
        views = range(self.config.views)
        keys = {m: [[embed(self.momentum[m], getattr(c, m)[v]) for c in clips] for v in views] for m in self.momentum}
        queries = {m: [[embed(weights[m], getattr(c, m)[v]) for c in clips] for v in views] for m in self.momentum}

        self.negatives = 0
        self.bias, temperature = weights.get("bias"), weights["log_temperature"].exp()
        pairs = [(m, v, o, v) for v in views for m, o in (("video", "audio"), ("audio", "video"))]
        losses = {"contrastive": self.mean(pairs, queries, keys, clips, (temperature, weight))}
        negatives = self.negatives / (len(pairs) * len(clips))
        if self.config.within_modal_weight:
            pairs = [(m, v, m, 1 - v) for m in ("video", "audio") for v in views]
            loss = self.mean(pairs, queries, keys, clips, (temperature, weight))
            losses["within_modal"] = self.config.within_modal_weight * loss

        wanted = [name for name in weights if name != "log_temperature" or self.config.learn_temperature]
        found = torch.autograd.grad(sum(losses.values()), [weights[name] for name in wanted])
        gradients = dict(zip(wanted, found, strict=True))

        # The keys of the first view enter the queues, the oldest leave, and both encoders move.
        for number, clip in enumerate(clips):
            of_film = self.queue[clip.film]
            key = (numbers(keys[m][0][number]) for m in ("video", "audio"))
            of_film.append(Key(clip.start, *key))
            if len(of_film) > (self.config.queue_clips_per_film or 0):
                of_film.pop(0)
        for name, gradient in gradients.items():
            self.weights[name] = self.weights[name] - self.rate * gradient
        m = self.config.momentum
        for name, average in self.momentum.items():
            self.momentum[name] = m * average + (1 - m) * self.weights[name]
        return {
            "losses": {name: loss.item() for name, loss in losses.items()},
            "gradients": gradients,
            "negatives": negatives,
        }

    def mean(
        self,
        pairs: list[tuple[str, int, str, int]],
        queries: dict[str, list[list[Row]]],
        keys: dict[str, list[list[Row]]],
        clips: Sequence[Clip],
        temperature_and_weight: tuple[Tensor, float],
    ) -> Tensor:
        """The mean loss over queries (modality, view) against keys (modality, view)."""
        losses = []
        for of_query, query_view, of_key, key_view in pairs:
            for number, clip in enumerate(clips):
                query = queries[of_query][query_view][number]
                found = self.candidates(clip, number, clips, keys[of_key][key_view], of_key)
                losses.append(self.loss(query, found, *temperature_and_weight))
        return sum(losses) / len(losses)

    def candidates(
        self, query: Clip, number: int, clips: Sequence[Clip], keys: list[Row], modality: str
    ) -> list[tuple[str, float, Row]]:
        """All candidates of a query, each `positive`, `within` or `across`; those that are ignored are not there.

        With each is the weight that time gives it as a negative.
        """
        config, found = self.config, []
        reach = config.within_film_positives_seconds
        for other, (clip, key) in enumerate(zip(clips, keys, strict=True)):
            seconds = abs(query.start - clip.start) / self.fps
            if clip.film != query.film:
                found.append(("across", 1.0, key))
            elif other == number or (reach and seconds <= reach):
                found.append(("positive", 1.0, key))
            elif seconds >= config.mask_nearer_than_seconds:
                found.append(("within", self.weigh(seconds), key))
        for film in {clip.film for clip in clips}:
            for entry in self.queue[film]:
                key, frames = getattr(entry, modality), abs(query.start - entry.start)
                seconds = frames / self.fps
                if film != query.film:
                    if config.queue_negatives == "batch_films":
                        found.append(("across", 1.0, key))
                elif frames >= self.window and seconds >= config.mask_nearer_than_seconds and not seconds <= reach > 0:
                    found.append(("within", self.weigh(seconds), key))
        return [each for each in found if each[1]]

    def weigh(self, seconds: float) -> float:
        """How much a negative of the film counts that is so far away."""
        if self.config.time_weighting == "none":
            return 1.0
        nearness = math.exp(-seconds / self.config.time_scale_seconds)
        return nearness if self.config.time_weighting == "nearer" else 1 - nearness

    def loss(self, query: Row, candidates: list[tuple[str, float, Row]], temperature: Tensor, weight: float) -> Tensor:
        """One query's loss, from its definition."""
        scores = [
            (k, by, sum(a * b for a, b in zip(query, key, strict=True)) / temperature) for k, by, key in candidates
        ]
        positives = [score for kind, _, score in scores if kind == "positive"]
        self.negatives += len(scores) - len(positives)
        if self.config.loss == "sigmoid":
            parts = {"positive": 1.0, "within": self.config.within_film_weight, "across": weight}
            signs = {"positive": -1, "within": 1, "across": 1}
            return sum(parts[k] * by * (1 + (signs[k] * (score + self.bias)).exp()).log() for k, by, score in scores)

        none = torch.zeros(1, dtype=torch.float64)
        sums = {of: sum((by * s.exp() for kind, by, s in scores if kind == of), none) for of in KINDS}
        mean, of_film = sum(positives) / len(positives), sums["positive"] + sums["within"]
        if self.config.loss == "decoupled":
            rivals = sums["within"] + weight * sums["across"]
            return rivals.log() - mean if rivals else 0 * mean
        within_film = of_film.log() - mean
        if self.config.cross_film_weighs == "term":
            return within_film + weight * ((of_film + sums["across"]).log() - of_film.log())
        return within_film + (of_film + weight * sums["across"]).log() - of_film.log()


def embed(weight: Tensor, features: list[float]) -> Row:
    """The unit vector that a linear tower makes of features."""
    raw = [sum(w * x for w, x in zip(row, features, strict=True)) for row in weight]
    length = sum(value * value for value in raw).sqrt()
    return [value / length for value in raw]


def numbers(row: Row) -> list[float]:
    return [value.item() for value in row]
