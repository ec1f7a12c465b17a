"""Match-cut candidates: where one shot ends as another begins, so that one could be cut to the other.

Shapes: as in `alike`; `S` ends or beginnings of shots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.recurrence.families import Passage, Place
from talkies.retrieval.recurrence.similarity import FilmMarks, Placed, Sequences, lies_in, scores_of, top_pairs

_SAME_PICTURE = 0.75
"""A cut is between pictures less alike than so many of the neighbouring clips inside shots: else it is one picture."""
_PARTNERS = 8
_TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class MatchCut:
    """The last clip of a shot and the first of another one, by how alike they look; `adjacent`: they are cut so."""

    end: Place
    beginning: Place
    score: float
    adjacent: bool

    @property
    def apart_seconds(self) -> float | None:
        """How far apart the two clips begin in one film; nothing if they are of two."""
        same_film = self.end.film_id == self.beginning.film_id
        return abs(self.beginning.start_seconds - self.end.start_seconds) if same_film else None


@dataclass(frozen=True, slots=True)
class _Edges:
    """One clip of each shot: its film, the shot's number, and its whitened row."""

    places: tuple[Place, ...]
    shots: tuple[int, ...]
    rows_SD: Float32s


def match_cuts(
    rows: IndexRows, found: Sequences, marks: Mapping[str, FilmMarks], passages: Sequence[Passage], least: float
) -> Iterator[MatchCut]:
    """Yield candidates, best first, of the films that have `marks`; each end and each beginning comes once.

    Clips of which half is black, still or credits are no candidates, nor are two that are one picture going on, or of
    one shot of `passages` and its return.
    """
    ends, beginnings = _edges(rows, found, marks)
    most = _same_picture(rows, found)
    number_S = np.arange(len(ends.shots))
    cells = top_pairs(Placed(ends.rows_SD, number_S), Placed(beginnings.rows_SD, number_S), least, 1, _PARTNERS)
    ended, begun = set[int](), set[int]()
    for cell in np.lexsort((cells.second_C, cells.first_C, -cells.score_C)):
        one, other, score = int(cells.first_C[cell]), int(cells.second_C[cell]), float(cells.score_C[cell])
        end, beginning = ends.places[one], beginnings.places[other]
        if score >= most or one in ended or other in begun:
            continue
        shot = marks[beginning.film_id].spans["shot"][beginnings.shots[other]]
        if _comes_back(end, beginning.film_id, shot, passages):
            continue
        ended.add(one)
        begun.add(other)
        adjacent = end.film_id == beginning.film_id and beginnings.shots[other] == ends.shots[one] + 1
        yield MatchCut(end, beginning, score, adjacent)


def _edges(rows: IndexRows, found: Sequences, marks: Mapping[str, FilmMarks]) -> tuple[_Edges, _Edges]:
    """Return the last and the first clip of each shot that has a clip which keeps to it."""
    last: dict[tuple[str, int], int] = {}
    first: dict[tuple[str, int], int] = {}
    for row in np.lexsort((rows.of_shot_B, rows.start_B, rows.film_B.astype(str))).tolist():
        film_id, shot = str(rows.film_B[row]), int(rows.shot_B[row])
        span = float(rows.start_B[row]), float(rows.end_B[row])
        if shot < 0 or film_id not in marks or not _keeps_to(span, marks[film_id], shot):
            continue
        first.setdefault((film_id, shot), row)
        last[film_id, shot] = row
    return _made(rows, found, last), _made(rows, found, first)


def _keeps_to(span: tuple[float, float], marks: FilmMarks, shot: int) -> bool:
    shots = marks.spans.get("shot", ())
    if shot >= len(shots) or lies_in(*span, marks.barred("video")):
        return False
    begin, end = shots[shot]
    return begin - _TOLERANCE_SECONDS <= span[0] and span[1] <= end + _TOLERANCE_SECONDS


def _made(rows: IndexRows, found: Sequences, row_of: Mapping[tuple[str, int], int]) -> _Edges:
    row_S = np.array(list(row_of.values()), np.int64)
    places = tuple(Place(str(rows.film_B[row]), float(rows.start_B[row]), float(rows.end_B[row])) for row in row_S)
    return _Edges(places, tuple(shot for _, shot in row_of), found.whitening(rows.video_BD[row_S]))


def _same_picture(rows: IndexRows, found: Sequences) -> float:
    """Return how alike two clips are from which on they are one picture going on, told by neighbours inside shots."""
    shot_N = rows.shot_B[found.index_N]
    next_N = np.flatnonzero((np.diff(found.place_N) == 1) & (np.diff(shot_N) == 0) & (shot_N[:-1] >= 0))
    score_N = scores_of(found.rows_ND, found.rows_ND, next_N, next_N + 1)
    return float(np.quantile(score_N, _SAME_PICTURE)) if len(score_N) else 1.0


def _comes_back(end: Place, film_id: str, shot: tuple[float, float], passages: Sequence[Passage]) -> bool:
    """Return whether the shot that a clip is the end of comes back as that one, which lies in a film from when to when.

    Or as its neighbour: where a passage comes back, so do its cuts.
    """
    near = 2 * end.seconds
    for passage in passages:
        for one, other in ((passage.first, passage.second), (passage.second, passage.first)):
            returned = end.start_seconds + other.start_seconds - one.start_seconds
            inside = end.shared_seconds(one) > 0 and film_id == other.film_id
            if inside and shot[0] - near <= returned <= shot[1] + near:
                return True
    return False
