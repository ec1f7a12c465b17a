"""The clips of a library on one time axis, film after film, so that a run of clips is a range of positions.

Shapes: `N` clips of one modality, `F` films, `D` embedding, `P` positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from talkies.core import Float32s, Float64s, Int64s, Modality
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.recurrence.families import FilmSpan
from talkies.retrieval.recurrence.similarity import PositionedRows, Whitening, compute_pair_scores

SpansSeconds = Sequence[tuple[float, float]]
"""Half-open, in seconds."""
EXCLUDED_ANNOTATIONS: Mapping[Modality, tuple[str, ...]] = {
    "video": ("black", "still", "credits", "damaged"),
    "audio": ("silent", "damaged"),
}
"""Annotated spans that are not compared by a modality: every silence, for example, is similar to every other."""


@dataclass(frozen=True, slots=True)
class FilmAnnotations:
    """A film and its annotated spans by kind, in seconds."""

    film_id: str
    name: str
    spans: Mapping[str, SpansSeconds]

    def list_excluded(self, modality: Modality) -> SpansSeconds:
        """Return the spans that are not compared by a modality."""
        return [span for kind in EXCLUDED_ANNOTATIONS[modality] for span in self.spans.get(kind, ())]


@dataclass(frozen=True, slots=True)
class ClipTimeline:
    """One modality's clips at the stride, film after film in the order of ids.

    Positions count strides: neighbours in a film differ by one, and between two films there is a gap longer than
    anything that is compared across it.

    Args:
        film_ids: The films.
        index_N: Each clip's row in the embedding set.
        film_N: Each clip's film, as an index into `film_ids`.
        start_N: The start of each clip, in seconds.
        end_N: The end of each clip, in seconds.
        position_N: The position of each clip.
        begin_F: The position of each film's first second.
        row_P: The clip at each position, -1 where there is none.
        rows_ND: The clips' embeddings: whitened unit rows.
        whitening: The transform that whitened them.
        stride_seconds: The distance between positions.
        clip_seconds: The length of a clip.
    """

    film_ids: tuple[str, ...]
    index_N: Int64s
    film_N: Int64s
    start_N: Float64s
    end_N: Float64s
    position_N: Int64s
    begin_F: Int64s
    row_P: Int64s
    rows_ND: Float32s
    whitening: Whitening
    stride_seconds: float
    clip_seconds: float

    def __len__(self) -> int:
        return len(self.position_N)

    @property
    def clip_strides(self) -> int:
        """The number of strides after which a clip no longer overlaps another."""
        return ceil(self.clip_seconds / self.stride_seconds - 1e-9)

    @property
    def positioned_rows(self) -> PositionedRows:
        """The clips' embeddings with their positions."""
        return PositionedRows(self.rows_ND, self.position_N)

    def find_rows(self, position_P: Int64s) -> Int64s:
        """Return the clip at each position, -1 where there is none."""
        inside_P = (position_P >= 0) & (position_P < len(self.row_P))
        row_P: Int64s = np.where(inside_P, self.row_P[np.clip(position_P, 0, len(self.row_P) - 1)], -1)
        return row_P

    def find_film(self, position: int) -> int:
        """Return the film at a position, as an index into `film_ids`."""
        return int(np.searchsorted(self.begin_F, position, side="right")) - 1

    def find_neighbours(self) -> Int64s:
        """Return the clips that are followed by the next clip of their film."""
        return np.flatnonzero(np.diff(self.position_N) == 1)

    def score_pairs(self, first_C: Int64s, second_C: Int64s) -> Float32s:
        """Return the cosines `[C]` of pairs of clips."""
        return compute_pair_scores(self.rows_ND, self.rows_ND, first_C, second_C)

    def get_span(self, film: int, first_position: int, length: int, lag: float = 0.0) -> FilmSpan:
        """Return the span of consecutive clips of a film, cut to the film.

        Args:
            film: The film, as an index into `film_ids`.
            first_position: The position of the first clip.
            length: The number of clips.
            lag: How many strides later the span starts.
        """
        film_end = float(self.end_N[np.searchsorted(self.film_N, film, side="right") - 1])
        start = (first_position - int(self.begin_F[film]) + lag) * self.stride_seconds
        end = start + (length - 1) * self.stride_seconds + self.clip_seconds
        return FilmSpan(self.film_ids[film], max(0.0, start), min(film_end, end))


def build_timeline(
    rows: IndexRows,
    modality: Modality,
    stride_seconds: float,
    films: Mapping[str, FilmAnnotations],
    *,
    film_gap: int,
) -> ClipTimeline:
    """Return the clips of films on one time axis, without those that are annotated as not comparable.

    Args:
        rows: Rows of the embedding set.
        modality: The modality that is compared.
        stride_seconds: The stride of the rows.
        films: The films to compare, by id.
        film_gap: The number of free positions between two films.
    """
    film_B = rows.film_B.astype(str)
    order = _select_rows(rows, film_B, films, modality)
    film_ids, film_N = np.unique(film_B[order], return_inverse=True)
    start_N, end_N = rows.start_B[order], rows.end_B[order]

    # Place the films one after the other.
    step_N = np.round(start_N / stride_seconds).astype(np.int64)
    last_F = np.zeros(len(film_ids), np.int64)
    np.maximum.at(last_F, film_N, step_N)
    begin_F = np.cumsum(np.concatenate([[0], last_F + 1 + film_gap]))
    position_N = begin_F[film_N] + step_N
    row_P = np.full(int(begin_F[-1]) + 1, -1, np.int64)
    row_P[position_N] = np.arange(len(order))

    vectors_ND = rows.get_vectors(modality)[order]
    whitening = Whitening.fit(vectors_ND)
    return ClipTimeline(
        film_ids=tuple(str(film_id) for film_id in film_ids),
        index_N=order,
        film_N=film_N.astype(np.int64),
        start_N=start_N,
        end_N=end_N,
        position_N=position_N,
        begin_F=begin_F[:-1],
        row_P=row_P,
        rows_ND=whitening(vectors_ND),
        whitening=whitening,
        stride_seconds=stride_seconds,
        clip_seconds=float(np.median(end_N - start_N)) if len(order) else stride_seconds,
    )


def _select_rows(
    rows: IndexRows, film_B: np.ndarray, films: Mapping[str, FilmAnnotations], modality: Modality
) -> Int64s:
    """Return the rows to compare, in the order of films and times."""
    excluded = {film_id: film.list_excluded(modality) for film_id, film in films.items()}
    order = np.lexsort((rows.start_B, film_B))
    selected = [
        not rows.of_shot_B[row]
        and film_B[row] in films
        and not is_half_covered(rows.start_B[row], rows.end_B[row], excluded[film_B[row]])
        for row in order
    ]
    return order[np.array(selected, np.bool_)]


def is_half_covered(start: float, end: float, spans: SpansSeconds) -> bool:
    """Return whether at least half of `[start, end)` is covered by spans."""
    covered = sum(max(0.0, min(end, span_end) - max(start, span_start)) for span_start, span_end in spans)
    return covered >= (end - start) / 2
