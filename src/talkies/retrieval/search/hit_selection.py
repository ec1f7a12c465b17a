"""Select hits from scored rows: temporal non-maximum suppression, with one hit per moment, shot or film.

Shapes: `B` rows.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from talkies.core import Bools, Float32s
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.candidates import Candidates
from talkies.retrieval.search.query import SearchQuery

SpanSeconds = tuple[float, float]
_FIRST_ROWS = 512


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected rows: their positions `index` in `candidates`, best first."""

    candidates: Candidates
    index: list[int]


@dataclass(frozen=True, slots=True)
class HitSelector:
    """Selects the hits of one query.

    Args:
        query: The query, with its filters.
        query_film: The film of the query's moment; None for a file.
        query_seconds: The span of the query's clip.
        query_shot: The number of the query's shot, -1 if unknown.
        usable_films: The films that the library has now.
        searched_films: The films that may have hits; None: all usable ones.
    """

    query: SearchQuery
    query_film: str | None
    query_seconds: SpanSeconds
    query_shot: int
    usable_films: Collection[str]
    searched_films: Collection[str] | None

    def select(self, candidate_sets: Iterable[Candidates], min_score: float) -> Selection:
        """Return the hits in the first candidate set that decides them: enough hits, or no others possible."""
        for candidates in candidate_sets:
            index, decided = self.select_rows(candidates.rows, candidates.score_B, min_score)
            if decided or candidates.complete:
                break
        return Selection(candidates, index)

    def select_rows(self, rows: IndexRows, score_B: Float32s, min_score: float) -> tuple[list[int], bool]:
        """Return the positions of hits, best first, and whether further rows cannot change them.

        Args:
            rows: Candidates.
            score_B: Their scores.
            min_score: The least score of a hit.

        Returns:
            At most one hit more than the query's page ends with; and True if there are that many, or if all rows of
            at least `min_score` were seen.
        """
        wanted = self.query.skip + self.query.count + 1
        allowed_B = self._find_allowed(rows)
        taken: dict[object, list[SpanSeconds]] = defaultdict(list)
        if self.query_film is not None:
            taken[self._find_group(self.query_film, self.query_shot)[0]].append(self.query_seconds)

        selected: list[int] = []
        for row in _iterate_best_first(score_B):
            if score_B[row] < min_score:
                return selected, True
            if not allowed_B[row] or rows.film_B[row] not in self.usable_films:
                continue
            group, single = self._find_group(rows.film_B[row], int(rows.shot_B[row]))
            span = float(rows.start_B[row]), float(rows.end_B[row])
            if not _is_suppressed(span, taken[group], single):
                taken[group].append(span)
                selected.append(row)
                if len(selected) == wanted:
                    return selected, True
        return selected, False

    def _find_allowed(self, rows: IndexRows) -> Bools:
        """Return which rows `[B]` pass the filters, and do not overlap the query."""
        allowed_B = np.ones(len(rows), np.bool_)
        if self.searched_films is not None:
            allowed_B = np.logical_or.reduce([rows.film_B == film for film in self.searched_films])
        if self.query.span_seconds:
            start, end = self.query.span_seconds
            allowed_B &= (rows.start_B >= start) & (rows.end_B <= end)
        if self.query_film is not None:
            own_film_B = rows.film_B == self.query_film
            start, end = self.query_seconds
            allowed_B &= ~(own_film_B & (rows.start_B < end) & (rows.end_B > start))
            if self.query.apart_seconds > 0:
                distance_B = np.abs(rows.middle_B - (start + end) / 2)
                allowed_B &= ~(own_film_B & (distance_B < self.query.apart_seconds))
        return allowed_B

    def _find_group(self, film_id: str, shot: int) -> tuple[object, bool]:
        """Return the group within which hits suppress each other, and whether the group has a single hit."""
        if self.query.per == "shot" and shot >= 0:
            return (film_id, shot), True
        return film_id, self.query.per == "film"


def _iterate_best_first(score_B: Float32s) -> Iterator[int]:
    """Yield positions by descending score; sort all of them only if the first ones are not enough."""
    if len(score_B) <= 4 * _FIRST_ROWS:
        yield from np.argsort(-score_B, kind="stable").tolist()
        return
    partitioned = np.argpartition(-score_B, _FIRST_ROWS)
    for part in (partitioned[:_FIRST_ROWS], partitioned[_FIRST_ROWS:]):
        yield from part[np.argsort(-score_B[part], kind="stable")].tolist()


def _is_suppressed(span: SpanSeconds, taken: list[SpanSeconds], single: bool) -> bool:
    """Return whether a span overlaps a taken one or, in a group with a single hit, whether any is taken."""
    return bool(taken) if single else any(span[0] < end and start < span[1] for start, end in taken)
