"""Passages that are one: where a passage comes back several times, its pairs are joined to one family."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SAME = 0.5
"""Two spans are one place if they share so much of both together."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A span of a film, in seconds on the library's grid."""

    film_id: str
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_seconds - self.start_seconds

    def shared_seconds(self, other: "Place") -> float:
        """Return how much the two have in common."""
        if self.film_id != other.film_id:
            return 0.0
        return max(0.0, min(self.end_seconds, other.end_seconds) - max(self.start_seconds, other.start_seconds))


@dataclass(frozen=True, slots=True, order=True)
class Passage:
    """A passage and where it comes back, and how alike the two are: the mean cosine of their clips."""

    first: Place
    second: Place
    score: float


@dataclass(frozen=True, slots=True)
class Family:
    """The places of one passage, in the order of films and times, and the pairs by which they were found."""

    places: tuple[Place, ...]
    passages: tuple[Passage, ...]

    @property
    def seconds(self) -> float:
        """How long the passage is, where it is longest."""
        return max(place.seconds for place in self.places)

    @property
    def score(self) -> float:
        """The mean score of its pairs, the longer ones counting more."""
        weights = [passage.first.seconds for passage in self.passages]
        return sum(p.score * w for p, w in zip(self.passages, weights, strict=True)) / sum(weights)


def families_of(passages: Sequence[Passage]) -> list[Family]:
    """Return the families, those that take most time first."""
    spans = sorted({place for p in passages for place in (p.first, p.second)})
    joined = _Joined(spans)
    for number, place in enumerate(spans):
        for other in spans[number + 1 :]:
            if other.film_id != place.film_id or other.start_seconds >= place.end_seconds:
                break
            if _is_same(place, other):
                joined.join(place, other)
    places = defaultdict(list)
    for place in spans:
        places[joined.head(place)].append(place)
    whole = {place: _middle(some) for some in places.values() for place in some}
    for passage in passages:
        joined.join(passage.first, passage.second)
    members: dict[Place, list[Passage]] = defaultdict(list)
    for passage in sorted(passages):
        members[joined.head(passage.first)].append(passage)
    found = [
        Family(tuple(sorted({whole[place] for p in some for place in (p.first, p.second)})), tuple(some))
        for some in members.values()
    ]
    return sorted(found, key=lambda family: (-sum(p.seconds for p in family.places), family.places[0]))


def _is_same(one: Place, other: Place) -> bool:
    shared = one.shared_seconds(other)
    return shared > 0 and shared >= SAME * (one.seconds + other.seconds - shared)


def _middle(places: Sequence[Place]) -> Place:
    """Return the one place that several spans are of."""
    start = median(place.start_seconds for place in places)
    return Place(places[0].film_id, start, median(place.end_seconds for place in places))


class _Joined:
    """Places joined in groups (union-find)."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._head = {place: place for place in places}

    def head(self, place: Place) -> Place:
        while self._head[place] != place:
            self._head[place] = self._head[self._head[place]]
            place = self._head[place]
        return place

    def join(self, one: Place, other: Place) -> None:
        low, high = sorted((self.head(one), self.head(other)))
        self._head[high] = low
