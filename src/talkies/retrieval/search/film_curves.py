"""Curves over a film's time: similarity to a query, and similarity to the best match elsewhere.

Shapes: `B` clips of the film, `N` clips elsewhere.
"""

from typing import NamedTuple

import numpy as np

from talkies.core import Modality
from talkies.library import FilmEntry
from talkies.retrieval.search.modality_pairs import score_rows
from talkies.retrieval.search.query import Moment
from talkies.retrieval.search.resolve import ResolvedQuery
from talkies.retrieval.search.snapshot import IndexSnapshot

_BLOCK = 64
_MIN_GAP_SECONDS = 5.0
_MIN_GAP_CLIPS = 4


class ClipScore(NamedTuple):
    """A clip's span in a film, and its score."""

    start_seconds: float
    end_seconds: float
    score: float


class RecurringClip(NamedTuple):
    """A clip's span in a film, its best score elsewhere, and the start of that match (None if there is none)."""

    start_seconds: float
    end_seconds: float
    score: float
    match: Moment | None


def compute_similarity_curve(snapshot: IndexSnapshot, resolved: ResolvedQuery, film: FilmEntry) -> list[ClipScore]:
    """Return the score of each clip at the stride of a film, in order of time.

    Raises:
        LibraryError: if the film is not embedded.
    """
    rows = snapshot.read_film_clips(film)
    score_B = score_rows(rows, resolved.row_vectors)
    return list(map(ClipScore, rows.start_B.tolist(), rows.end_B.tolist(), score_B.tolist()))


def compute_recurrence_curve(snapshot: IndexSnapshot, film: FilmEntry, modality: Modality) -> list[RecurringClip]:
    """Return each clip at the stride of a film with its best match elsewhere, in order of time.

    Elsewhere is in another film, or distant in the same one; in a set too large to be held in memory, only the latter.

    Raises:
        LibraryError: if the film is not embedded.
        UsageError: if the set lacks the modality.
    """
    snapshot.entry.check_has(modality)
    rows = snapshot.read_film_clips(film)
    others = snapshot.rows if snapshot.rows is not None else rows
    others = others[~others.of_shot_B]
    own_BD, other_ND = rows.get_vectors(modality), others.get_vectors(modality)
    same_film_N = others.film_B == film.film_id
    min_gap = max(_MIN_GAP_CLIPS * snapshot.entry.clip_seconds, _MIN_GAP_SECONDS)

    curve: list[RecurringClip] = []
    for begin in range(0, len(rows), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        score_BN = own_BD[block] @ other_ND.T
        near_BN = same_film_N & (np.abs(rows.start_B[block, None] - others.start_B[None]) < min_gap)
        score_BN[near_BN] = -np.inf
        for offset, best in enumerate(score_BN.argmax(1) if len(others) else ()):
            row, score = begin + offset, float(score_BN[offset, best])
            match = Moment(str(others.film_B[best]), float(others.start_B[best])) if np.isfinite(score) else None
            span = float(rows.start_B[row]), float(rows.end_B[row])
            curve.append(RecurringClip(*span, score if match else 0.0, match))
    return curve
