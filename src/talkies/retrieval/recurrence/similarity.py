"""Which clips of a library are alike: rows made comparable, what chance gives, and the likest pairs found in blocks.

Shapes: `N` clips of one side, `F` films, `D` embedding, `P` places, `C` pairs (cells of a matrix that is never whole).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from talkies.core import Float32s, Float64s, Int64s, Modality
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.recurrence.families import Place

BLOCK = 2048
"""So many rows are compared with so many at a time."""
MOST_PARTNERS = 32
"""Of a clip's pairs above the floor so many are kept, the likest."""
FALSE_RUNS = 1e-3
"""So many runs are expected by chance among all pairs of a library in which nothing recurs."""
_SAMPLE = 20_000
_RIDGE = 0.01
_RIDGE_OF_FEW = 0.1

Spans = Sequence[tuple[float, float]]
"""Half-open, in seconds."""
LEFT_OUT: Mapping[Modality, tuple[str, ...]] = {
    "video": ("black", "still", "credits", "damaged"),
    "audio": ("silent", "damaged"),
}
"""What is marked so says nothing by that side: all silence is alike."""


@dataclass(frozen=True, slots=True)
class FilmMarks:
    """A film, and what is marked in it: spans by kind, as `Library.annotations_of` names them."""

    film_id: str
    name: str
    spans: Mapping[str, Spans]

    def barred(self, side: Modality) -> Spans:
        """Return the spans of which nothing is compared by one side."""
        return [span for kind in LEFT_OUT[side] for span in self.spans.get(kind, ())]


@dataclass(frozen=True, slots=True)
class Whitening:
    """What makes unit rows vary as much in every direction, but for a ridge (the wider the fewer rows there are).

    The clips of a library have much in common, and little of it tells one moment from another; without that the
    cosine of two moments that differ is near zero (Jégou and Chum 2012). Equal rows stay equal.
    """

    mean_D: Float32s
    turn_DD: Float32s

    @classmethod
    def of(cls, rows_ND: Float32s) -> "Whitening":
        """Return the whitening of these rows."""
        dim = rows_ND.shape[1]
        mean_D = np.asarray(rows_ND.sum(axis=0, dtype=np.float64) / max(1, len(rows_ND)))
        covariance_DD = np.zeros((dim, dim))
        for start in range(0, len(rows_ND), BLOCK):
            part_ND = rows_ND[start : start + BLOCK].astype(np.float64) - mean_D
            covariance_DD += part_ND.T @ part_ND
        count = max(1, len(rows_ND))
        value_D, direction_DD = np.linalg.eigh(covariance_DD / count)
        ridge = max((_RIDGE + _RIDGE_OF_FEW * dim / count) * float(value_D.mean()), 1e-12)
        turn_DD = direction_DD / np.sqrt(np.clip(value_D, 0, None) + ridge)
        return cls(mean_D.astype(np.float32), turn_DD.astype(np.float32))

    def __call__(self, rows_ND: Float32s) -> Float32s:
        """Return the rows whitened, unit rows again."""
        white_ND: Float32s = ((rows_ND - self.mean_D) @ self.turn_DD).astype(np.float32, copy=False)
        white_ND /= np.maximum(np.linalg.norm(white_ND, axis=1, keepdims=True), 1e-9)
        return white_ND


@dataclass(frozen=True, slots=True)
class Sequences:
    """One side's clips at the stride, film after film in the order of ids.

    `film_N` counts in `film_ids`, and `index_N` in the rows that they were taken from. `place_N` counts strides:
    neighbours in a film differ by one, and between films there is a gap wider than any search looks across; `begin_F`
    are the places of the films' beginnings. `row_P` is the row at each place, or -1. `rows_ND` are unit rows, whitened.
    """

    film_ids: tuple[str, ...]
    index_N: Int64s
    film_N: Int64s
    start_N: Float64s
    end_N: Float64s
    place_N: Int64s
    begin_F: Int64s
    row_P: Int64s
    rows_ND: Float32s
    whitening: Whitening
    stride_seconds: float
    clip_seconds: float

    def __len__(self) -> int:
        return len(self.place_N)

    @property
    def clip_places(self) -> int:
        """So many strides later a clip overlaps another no more."""
        return ceil(self.clip_seconds / self.stride_seconds - 1e-9)

    def row_at(self, place_P: Int64s) -> Int64s:
        """Return the row at each place, -1 where there is none."""
        inside_P = (place_P >= 0) & (place_P < len(self.row_P))
        row_P: Int64s = np.where(inside_P, self.row_P[np.clip(place_P, 0, len(self.row_P) - 1)], -1)
        return row_P

    def film_at(self, place: int) -> int:
        """Return the number of the film that a place is of."""
        return int(np.searchsorted(self.begin_F, place, side="right")) - 1

    def span_of(self, film: int, first_place: int, length: int, lag: float = 0.0) -> Place:
        """Return the span of `length` clips of a film from a place on, `lag` strides later, as far as the film goes."""
        last = float(self.end_N[np.searchsorted(self.film_N, film, side="right") - 1])
        start = (first_place - int(self.begin_F[film]) + lag) * self.stride_seconds
        end = start + (length - 1) * self.stride_seconds + self.clip_seconds
        return Place(self.film_ids[film], max(0.0, start), min(last, end))


@dataclass(frozen=True, slots=True)
class Cells:
    """Pairs of rows, `first_C` before `second_C`, and how alike they are."""

    first_C: Int64s
    second_C: Int64s
    score_C: Float32s


def sequences(
    rows: IndexRows, side: Modality, stride_seconds: float, films: Mapping[str, FilmMarks], margin: int
) -> Sequences:
    """Return the clips of these films by one side, in order, less those that are marked as saying nothing by it.

    `margin` places lie free between two films.
    """
    film_B = rows.film_B.astype(str)
    barred = {film_id: film.barred(side) for film_id, film in films.items()}
    order = np.lexsort((rows.start_B, film_B))
    keep = [
        not rows.of_shot_B[b] and film_B[b] in films and not lies_in(rows.start_B[b], rows.end_B[b], barred[film_B[b]])
        for b in order
    ]
    order = order[np.array(keep, np.bool_)]
    film_ids, film_N = np.unique(film_B[order], return_inverse=True)
    start_N, end_N = rows.start_B[order], rows.end_B[order]
    step_N = np.round(start_N / stride_seconds).astype(np.int64)
    last_F = np.zeros(len(film_ids), np.int64)
    np.maximum.at(last_F, film_N, step_N)
    begin_F = np.cumsum(np.concatenate([[0], last_F + 1 + margin]))
    place_N = begin_F[film_N] + step_N
    row_P = np.full(int(begin_F[-1]) + 1, -1, np.int64)
    row_P[place_N] = np.arange(len(order))
    vectors_ND = vectors_of(rows, side)[order]
    whitening = Whitening.of(vectors_ND)
    return Sequences(
        film_ids=tuple(str(film_id) for film_id in film_ids),
        index_N=order,
        film_N=film_N.astype(np.int64),
        start_N=start_N,
        end_N=end_N,
        place_N=place_N,
        begin_F=begin_F[:-1],
        row_P=row_P,
        rows_ND=whitening(vectors_ND),
        whitening=whitening,
        stride_seconds=stride_seconds,
        clip_seconds=float(np.median(end_N - start_N)) if len(order) else stride_seconds,
    )


def vectors_of(rows: IndexRows, side: Modality) -> Float32s:
    """Return one side's vectors."""
    return rows.video_BD if side == "video" else rows.audio_BD


def lies_in(start: float, end: float, spans: Spans) -> bool:
    """Return whether half or more of a span lies in others."""
    covered = sum(max(0.0, min(end, to) - max(start, begin)) for begin, to in spans)
    return covered >= (end - start) / 2


def chance_level(score_C: npt.NDArray[np.floating], quantile: float, chance: float) -> float:
    """Return the score that a pair has with so small a chance, told by the scores of random pairs.

    A normal distribution in Fisher's z, of the same median and the same `quantile` above it: what recurs is beyond
    that, and does not bend it; nor does the bound at 1.
    """
    z_C = np.arctanh(np.clip(score_C, -0.99999, 0.99999))
    middle, upper = np.quantile(z_C, [0.5, quantile])
    spread = max(float(upper - middle) / NormalDist().inv_cdf(quantile), 1e-3)
    return float(np.tanh(middle + NormalDist().inv_cdf(1 - max(chance, 1e-15)) * spread))


def random_pairs(found: Sequences, apart_places: int) -> tuple[Int64s, Int64s]:
    """Return rows drawn at random, and as many others at least so many places away; the same for the same library."""
    random = np.random.default_rng(0)
    first_C, second_C = random.integers(0, max(len(found), 1), (2, min(_SAMPLE, len(found) ** 2)))
    far_C = np.abs(found.place_N[first_C] - found.place_N[second_C]) >= apart_places
    return first_C[far_C], second_C[far_C]


def scores_of(left_ND: Float32s, right_ND: Float32s, first_C: Int64s, second_C: Int64s) -> Float32s:
    """Return the cosines of pairs of unit rows, in blocks."""
    size = 16 * BLOCK
    parts = [
        np.einsum("cd,cd->c", left_ND[first_C[at : at + size]], right_ND[second_C[at : at + size]])
        for at in range(0, len(first_C), size)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Placed:
    """Unit rows and their places."""

    rows_ND: Float32s
    place_N: Int64s

    def __len__(self) -> int:
        return len(self.place_N)

    def block(self, at: int) -> "Placed":
        """Return the rows from one on, at most a block."""
        return Placed(self.rows_ND[at : at + BLOCK], self.place_N[at : at + BLOCK])


def top_pairs(left: Placed, right: Placed, least: float, apart_places: int, most: int) -> Cells:
    """Return the pairs of a left and a right row that score `least` or more, of each left row at most `most`.

    Pairs whose places lie nearer than `apart_places` are left out. Of the matrix a block at a time is there.
    """
    kept = []
    for at in range(0, len(left), BLOCK):
        strip = _joined([])
        for begin in range(0, len(right), BLOCK):
            new = _of_block(left.block(at), right.block(begin), least, apart_places, most)
            moved = Cells(new.first_C + at, new.second_C + begin, new.score_C)
            strip = _best_of_each(_joined([strip, moved]), most)
        kept.append(strip)
    return _joined(kept)


def _of_block(left: Placed, right: Placed, least: float, apart_places: int, most: int) -> Cells:
    score_LR = left.rows_ND @ right.rows_ND.T
    gap = max(left.place_N.min() - right.place_N.max(), right.place_N.min() - left.place_N.max())
    if gap < apart_places:
        score_LR[np.abs(left.place_N[:, None] - right.place_N[None]) < apart_places] = -2
    found_C = np.flatnonzero(score_LR >= least)
    if score_LR.shape[1] > most and len(found_C) > most * len(left):
        bound_L = np.partition(score_LR, -most, axis=1)[:, -most]
        found_C = np.flatnonzero(score_LR >= np.maximum(bound_L, least)[:, None])
    first_C, second_C = np.divmod(found_C, score_LR.shape[1])
    return Cells(first_C, second_C, score_LR.ravel()[found_C])


def _best_of_each(cells: Cells, most: int) -> Cells:
    order = np.lexsort((cells.second_C, -cells.score_C, cells.first_C))
    first_C = cells.first_C[order]
    begins = np.flatnonzero(np.diff(first_C, prepend=-1))
    rank_C = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    order = order[rank_C < most]
    return Cells(cells.first_C[order], cells.second_C[order], cells.score_C[order])


def _joined(parts: Sequence[Cells]) -> Cells:
    none = Cells(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    some = [none, *parts]
    return Cells(
        np.concatenate([part.first_C for part in some]),
        np.concatenate([part.second_C for part in some]),
        np.concatenate([part.score_C for part in some]),
    )
