"""Repeated passages, and their families: all occurrences of one passage, joined from pairs of occurrences."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MIN_OVERLAP = 0.5
"""Two spans are the same occurrence if their overlap is at least this share of their union."""


@dataclass(frozen=True, slots=True, order=True)
class FilmSpan:
    """A span of a film, `[start_seconds, end_seconds)` on the library's grid."""

    film_id: str
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.end_seconds - self.start_seconds

    def measure_overlap(self, other: "FilmSpan") -> float:
        """Return the overlap with another span, in seconds."""
        if self.film_id != other.film_id:
            return 0.0
        return max(0.0, min(self.end_seconds, other.end_seconds) - max(self.start_seconds, other.start_seconds))


@dataclass(frozen=True, slots=True, order=True)
class RepeatedPassage:
    """Two occurrences of a passage; `score` is the mean cosine of their clips."""

    first: FilmSpan
    second: FilmSpan
    score: float


@dataclass(frozen=True, slots=True)
class PassageFamily:
    """All occurrences of one passage, in the order of films and times, and the pairs in which they were found."""

    spans: tuple[FilmSpan, ...]
    passages: tuple[RepeatedPassage, ...]

    @property
    def seconds(self) -> float:
        """The duration of the longest occurrence."""
        return max(span.seconds for span in self.spans)

    @property
    def score(self) -> float:
        """The mean score of the pairs, weighted by duration."""
        weights = [passage.first.seconds for passage in self.passages]
        total = sum(passage.score * weight for passage, weight in zip(self.passages, weights, strict=True))
        return total / sum(weights)


def group_passages(passages: Sequence[RepeatedPassage]) -> list[PassageFamily]:
    """Return the families of passages, those with the longest total duration first."""
    spans = sorted({span for passage in passages for span in (passage.first, passage.second)})
    groups = _DisjointSets(spans)

    # Join the spans that are one occurrence, and give each occurrence its median span.
    for number, span in enumerate(spans):
        for other in spans[number + 1 :]:
            if other.film_id != span.film_id or other.start_seconds >= span.end_seconds:
                break
            if _is_same_occurrence(span, other):
                groups.join(span, other)
    occurrences = defaultdict(list)
    for span in spans:
        occurrences[groups.find(span)].append(span)
    occurrence_of = {span: _compute_median_span(members) for members in occurrences.values() for span in members}

    # Join the two occurrences of each pair.
    for passage in passages:
        groups.join(passage.first, passage.second)
    passages_of: dict[FilmSpan, list[RepeatedPassage]] = defaultdict(list)
    for passage in sorted(passages):
        passages_of[groups.find(passage.first)].append(passage)

    families = []
    for members in passages_of.values():
        family_spans = {occurrence_of[span] for passage in members for span in (passage.first, passage.second)}
        families.append(PassageFamily(tuple(sorted(family_spans)), tuple(members)))
    return sorted(families, key=lambda family: (-sum(span.seconds for span in family.spans), family.spans[0]))


def _is_same_occurrence(span: FilmSpan, other: FilmSpan) -> bool:
    overlap = span.measure_overlap(other)
    return overlap > 0 and overlap >= MIN_OVERLAP * (span.seconds + other.seconds - overlap)


def _compute_median_span(spans: Sequence[FilmSpan]) -> FilmSpan:
    start = median(span.start_seconds for span in spans)
    return FilmSpan(spans[0].film_id, start, median(span.end_seconds for span in spans))


class _DisjointSets:
    """Spans joined into groups (union-find)."""

    def __init__(self, spans: Sequence[FilmSpan]) -> None:
        self._parent = {span: span for span in spans}

    def find(self, span: FilmSpan) -> FilmSpan:
        while self._parent[span] != span:
            self._parent[span] = self._parent[self._parent[span]]
            span = self._parent[span]
        return span

    def join(self, one: FilmSpan, other: FilmSpan) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low
