"""Match-cut candidates: two shots of which one ends with a picture similar to the first of the other.

Shapes: as in `timeline`; `S` shots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.recurrence.families import FilmSpan, RepeatedPassage
from talkies.retrieval.recurrence.similarity import PositionedRows, find_top_pairs
from talkies.retrieval.recurrence.timeline import ClipTimeline, FilmAnnotations, is_half_covered

_SAME_PICTURE_QUANTILE = 0.75
"""Clips more similar than this quantile of neighbouring clips inside shots are one continuing picture, not a cut."""
_MAX_PARTNERS = 8
_TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class MatchCut:
    """The last clip of a shot and the first clip of another one that looks similar.

    Args:
        end: The last clip of a shot.
        beginning: The first clip of another shot.
        score: Their cosine.
        adjacent: Whether the film already cuts from the one to the other.
    """

    end: FilmSpan
    beginning: FilmSpan
    score: float
    adjacent: bool

    @property
    def apart_seconds(self) -> float | None:
        """How far apart the two clips start in one film; None if they are of two films."""
        same_film = self.end.film_id == self.beginning.film_id
        return abs(self.beginning.start_seconds - self.end.start_seconds) if same_film else None


@dataclass(frozen=True, slots=True)
class _ShotEdges:
    """The first or the last clip of each shot: its span, the number of the shot, and its whitened row."""

    spans: tuple[FilmSpan, ...]
    shots: tuple[int, ...]
    rows_SD: Float32s

    @property
    def positioned_rows(self) -> PositionedRows:
        return PositionedRows(self.rows_SD, np.arange(len(self.shots)))


def find_match_cuts(
    rows: IndexRows,
    timeline: ClipTimeline,
    films: Mapping[str, FilmAnnotations],
    passages: Sequence[RepeatedPassage],
    min_score: float,
) -> Iterator[MatchCut]:
    """Yield candidates, best first; each end and each beginning of a shot occurs once.

    Clips of which half is black, still or credits are no candidates; nor are two clips of one continuing picture, nor a
    shot and its own repetition.

    Args:
        rows: Rows of the embedding set.
        timeline: The clips, by video.
        films: The films that may have candidates.
        passages: The passages that repeat.
        min_score: The least cosine of a candidate.
    """
    ends, beginnings = _find_shot_edges(rows, timeline, films)
    max_score = _estimate_same_picture_score(rows, timeline)
    pairs = find_top_pairs(
        ends.positioned_rows, beginnings.positioned_rows, min_score=min_score, min_gap=1, max_partners=_MAX_PARTNERS
    )
    used_ends, used_beginnings = set[int](), set[int]()
    for pair in np.lexsort((pairs.second_C, pairs.first_C, -pairs.score_C)):
        first, second, score = int(pairs.first_C[pair]), int(pairs.second_C[pair]), float(pairs.score_C[pair])
        end, beginning = ends.spans[first], beginnings.spans[second]
        if score >= max_score or first in used_ends or second in used_beginnings:
            continue
        shot = films[beginning.film_id].spans["shot"][beginnings.shots[second]]
        if _is_repetition(end, beginning.film_id, shot, passages):
            continue
        used_ends.add(first)
        used_beginnings.add(second)
        adjacent = end.film_id == beginning.film_id and beginnings.shots[second] == ends.shots[first] + 1
        yield MatchCut(end, beginning, score, adjacent)


def _find_shot_edges(
    rows: IndexRows, timeline: ClipTimeline, films: Mapping[str, FilmAnnotations]
) -> tuple[_ShotEdges, _ShotEdges]:
    """Return the last and the first clip of each shot that has a clip inside it."""
    last_row: dict[tuple[str, int], int] = {}
    first_row: dict[tuple[str, int], int] = {}
    for row in np.lexsort((rows.of_shot_B, rows.start_B, rows.film_B.astype(str))).tolist():
        film_id, shot = str(rows.film_B[row]), int(rows.shot_B[row])
        span = float(rows.start_B[row]), float(rows.end_B[row])
        if shot < 0 or film_id not in films or not _is_inside_shot(span, films[film_id], shot):
            continue
        first_row.setdefault((film_id, shot), row)
        last_row[film_id, shot] = row
    return _build_edges(rows, timeline, last_row), _build_edges(rows, timeline, first_row)


def _is_inside_shot(span: tuple[float, float], film: FilmAnnotations, shot: int) -> bool:
    """Return whether a clip is inside its shot, and not half black, still or credits."""
    shots = film.spans.get("shot", ())
    if shot >= len(shots) or is_half_covered(*span, film.list_excluded("video")):
        return False
    start, end = shots[shot]
    return start - _TOLERANCE_SECONDS <= span[0] and span[1] <= end + _TOLERANCE_SECONDS


def _build_edges(rows: IndexRows, timeline: ClipTimeline, row_of: Mapping[tuple[str, int], int]) -> _ShotEdges:
    row_S = np.array(list(row_of.values()), np.int64)
    spans = tuple(FilmSpan(str(rows.film_B[row]), float(rows.start_B[row]), float(rows.end_B[row])) for row in row_S)
    return _ShotEdges(spans, tuple(shot for _, shot in row_of), timeline.whitening(rows.video_BD[row_S]))


def _estimate_same_picture_score(rows: IndexRows, timeline: ClipTimeline) -> float:
    """Return the cosine from which on two clips are one continuing picture, judged by neighbours inside shots."""
    shot_N = rows.shot_B[timeline.index_N]
    neighbour_N = timeline.find_neighbours()
    neighbour_N = neighbour_N[(shot_N[neighbour_N] >= 0) & (shot_N[neighbour_N] == shot_N[neighbour_N + 1])]
    score_N = timeline.score_pairs(neighbour_N, neighbour_N + 1)
    return float(np.quantile(score_N, _SAME_PICTURE_QUANTILE)) if len(score_N) else 1.0


def _is_repetition(end: FilmSpan, film_id: str, shot: tuple[float, float], passages: Sequence[RepeatedPassage]) -> bool:
    """Return whether the shot that a clip ends repeats as another shot, or next to it, because a passage repeats.

    Args:
        end: The last clip of a shot.
        film_id: The film of the other shot.
        shot: The span of the other shot, in seconds.
        passages: The passages that repeat.
    """
    near = 2 * end.seconds
    for passage in passages:
        for own, other in ((passage.first, passage.second), (passage.second, passage.first)):
            repeated_start = end.start_seconds + other.start_seconds - own.start_seconds
            inside = end.measure_overlap(own) > 0 and film_id == other.film_id
            if inside and shot[0] - near <= repeated_start <= shot[1] + near:
                return True
    return False
