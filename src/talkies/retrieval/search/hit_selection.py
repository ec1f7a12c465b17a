"""Which of the rows that score best are hits: apart from the query and from each other, one a moment, shot or film."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from talkies.core import Bools, Float32s
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.query import SearchQuery

Span = tuple[float, float]
_FIRST = 512


@dataclass(frozen=True, slots=True)
class HitSelector:
    """Chooses hits in `films` for a query, which was asked with the clip at `asked_seconds` of `asked_film`, if of any,
    in its shot `asked_shot` (-1 where that is not known); with `only`, hits in these films alone.
    """

    query: SearchQuery
    asked_film: str | None
    asked_seconds: Span
    asked_shot: int
    films: Collection[str]
    only: Collection[str] | None

    def choose(self, rows: IndexRows, score_B: Float32s, least: float) -> tuple[list[int], bool]:
        """Return places of hits, best first, at most one more than are wanted; and whether no other rows can add to it.

        They cannot when there are enough, or when the rows went below the `least` score.
        """
        wanted = self.query.skip + self.query.count + 1
        allowed_B = self._allowed(rows)
        taken: dict[object, list[Span]] = defaultdict(list)
        if self.asked_film is not None:
            taken[self._group(self.asked_film, self.asked_shot)[0]].append(self.asked_seconds)
        found: list[int] = []
        for place in _best_first(score_B):
            if score_B[place] < least:
                return found, True
            if not allowed_B[place] or rows.film_B[place] not in self.films:
                continue
            group, alone = self._group(rows.film_B[place], int(rows.shot_B[place]))
            span = float(rows.start_B[place]), float(rows.end_B[place])
            if not _meets(taken[group], span, alone):
                taken[group].append(span)
                found.append(place)
                if len(found) == wanted:
                    return found, True
        return found, False

    def _allowed(self, rows: IndexRows) -> Bools:
        """Return which rows may be hits, as far as each is looked at alone."""
        allowed_B = np.ones(len(rows), np.bool_)
        if self.only is not None:
            allowed_B = np.logical_or.reduce([rows.film_B == film for film in self.only])
        if self.query.span_seconds:
            begin, end = self.query.span_seconds
            allowed_B &= (rows.start_B >= begin) & (rows.end_B <= end)
        if self.asked_film is not None:
            own_B = rows.film_B == self.asked_film
            begin, end = self.asked_seconds
            allowed_B &= ~(own_B & (rows.start_B < end) & (rows.end_B > begin))
            if self.query.apart_seconds > 0:
                allowed_B &= ~(own_B & (np.abs(rows.middle_B - (begin + end) / 2) < self.query.apart_seconds))
        return allowed_B

    def _group(self, film_id: str, shot: int) -> tuple[object, bool]:
        """Return the group in which hits must be apart, and whether there is one hit alone in it."""
        if self.query.per == "shot" and shot >= 0:
            return (film_id, shot), True
        return film_id, self.query.per == "film"


def _best_first(score_B: Float32s) -> Iterator[int]:
    """Yield places by their scores; all are put in order only if the first ones are not enough."""
    if len(score_B) > 4 * _FIRST:
        part = np.argpartition(-score_B, _FIRST)
        yield from part[:_FIRST][np.argsort(-score_B[part[:_FIRST]], kind="stable")].tolist()
        rest = part[_FIRST:]
        yield from rest[np.argsort(-score_B[rest], kind="stable")].tolist()
    else:
        yield from np.argsort(-score_B, kind="stable").tolist()


def _meets(taken: list[Span], span: Span, alone: bool) -> bool:
    """Return whether a span overlaps one that is taken; where there is one hit `alone`, whether there is any."""
    return bool(taken) if alone else any(span[0] < end and begin < span[1] for begin, end in taken)
