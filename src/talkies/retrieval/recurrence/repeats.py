"""The repeats verb: passages that repeat in a library, near-duplicate films, and cuts that would match.

Every clip is compared with every other, in blocks: of N clips N² cosines are computed, and at most 32 per clip kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np

from talkies.core import MODALITIES, LibraryError, Modality, UsageError
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.choose_set import choose_set
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex
from talkies.retrieval.recurrence.calibration import calibrate_thresholds
from talkies.retrieval.recurrence.diagonal_runs import DiagonalRun, find_runs
from talkies.retrieval.recurrence.duplicates import (
    Duplicate,
    find_contained_films,
    find_duplicates,
    merge_modalities,
)
from talkies.retrieval.recurrence.families import PassageFamily, RepeatedPassage, group_passages
from talkies.retrieval.recurrence.match_cuts import MatchCut, find_match_cuts
from talkies.retrieval.recurrence.timeline import ClipTimeline, FilmAnnotations, build_timeline

MIN_SECONDS = 4.0
MAX_MATCH_CUTS = 50
_FILM_GAP = 8  # positions between films, in addition to the longest comparison


@dataclass(frozen=True, slots=True)
class RepeatQuery:
    """What to look for.

    Args:
        modalities: The modalities that are compared; of both, those that the model has.
        min_seconds: The least duration of a passage.
        max_match_cuts: The number of match cuts to return.

    Raises:
        UsageError: if a number is out of range.
    """

    modalities: tuple[Modality, ...] = MODALITIES
    min_seconds: float = MIN_SECONDS
    max_match_cuts: int = MAX_MATCH_CUTS

    def __post_init__(self) -> None:
        if not 1 <= self.min_seconds <= 3600:
            raise UsageError(f"--least must be 1 to 3600 seconds, got {self.min_seconds:g}")
        if self.max_match_cuts < 0:
            raise UsageError(f"--match-cuts must not be negative, got {self.max_match_cuts}")


@dataclass(frozen=True, slots=True)
class ModalityRepeats:
    """What one modality shows.

    Args:
        clips: The number of clips that were compared.
        left_out: The number of clips that were not, because their spans are annotated as not comparable.
        min_score: The least cosine of a pair of clips that was looked at.
        families: The passages, those with the longest total duration first.
    """

    clips: int
    left_out: int
    min_score: float
    families: tuple[PassageFamily, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What repeats among films.

    Args:
        films: The films that were compared, by id.
        by_modality: What each modality shows.
        duplicates: Near-duplicate films, by either modality.
        match_cuts: Match-cut candidates, best first.
    """

    films: Mapping[str, FilmAnnotations]
    by_modality: Mapping[Modality, ModalityRepeats]
    duplicates: tuple[Duplicate, ...] = ()
    match_cuts: tuple[MatchCut, ...] = ()


@dataclass(frozen=True, slots=True)
class LibraryRepeats:
    """What repeats in a library: the embedding set that was compared, and the names of the films that it lacks."""

    library: Library
    entry: EmbeddingSet
    repeats: Repeats
    not_embedded: tuple[str, ...]


def find_repeats(
    library: str | Path, query: RepeatQuery | None = None, run: str | Path | None = None
) -> LibraryRepeats:
    """Return what repeats within and across the films of a library.

    Args:
        library: The folder or URL of the library.
        query: What to look for.
        run: The run whose newest checkpoint embedded the library, or the address of the public encoders that did; None
            if the library has one embedding set only.

    Returns:
        The passages, near-duplicates and match cuts.

    Raises:
        UsageError: if the model lacks the one modality that is to be compared.
        LibraryError: if there is no such library, it has no embeddings, or they are another model's.
        RunError: if there is no such run.
    """
    opened = Library.open(library)
    index = VectorIndex(opened)
    entry, query = choose_set(opened, run), query or RepeatQuery()
    if len(query.modalities) < len(MODALITIES):
        for modality in query.modalities:
            entry.check_has(modality)
    rows = index.read_rows(entry.stamp)
    embedded, films = set(rows.film_B.tolist()), opened.usable_films()
    annotated = [_read_annotations(opened, film) for film in films if film.film_id in embedded]
    if not annotated:
        raise LibraryError(
            f"no film of {opened.location} is embedded with model {entry.stamp}; "
            f"run: talkies embed --library {opened.location} {entry.embed_option}"
        )
    repeats = find_repeats_among(rows, annotated, entry.stride_seconds, query)
    not_embedded = tuple(film.name for film in films if film.film_id not in embedded)
    return LibraryRepeats(opened, entry, repeats, not_embedded)


def find_repeats_among(
    rows: IndexRows, films: Iterable[FilmAnnotations], stride_seconds: float, query: RepeatQuery
) -> Repeats:
    """Return what repeats among the clips of films.

    Args:
        rows: Rows of an embedding set.
        films: The films to compare.
        stride_seconds: The stride of the rows.
        query: What to look for.
    """
    by_id = {film.film_id: film for film in sorted(films, key=lambda film: film.film_id)}
    clip_seconds = float(np.median(rows.end_B - rows.start_B)) if len(rows) else stride_seconds
    film_gap = ceil((query.min_seconds + 2 * clip_seconds) / stride_seconds) + _FILM_GAP
    at_stride = int(np.count_nonzero(~rows.of_shot_B & np.isin(rows.film_B.astype(str), list(by_id))))

    by_modality: dict[Modality, ModalityRepeats] = {}
    duplicates: list[Duplicate] = []
    cuts: list[MatchCut] = []
    for modality in query.modalities:
        if not rows.dims[modality]:
            continue
        timeline = build_timeline(rows, modality, stride_seconds, by_id, film_gap=film_gap)
        thresholds = calibrate_thresholds(timeline, query.min_seconds)
        runs = find_runs(timeline, thresholds)
        same_films, unexplained = find_duplicates(modality, timeline, runs, thresholds)
        duplicates += same_films
        families = group_passages([_build_passage(timeline, run) for run in unexplained])
        by_modality[modality] = ModalityRepeats(
            clips=len(timeline),
            left_out=at_stride - len(timeline),
            min_score=thresholds.pair_score,
            families=tuple(families),
        )
        if modality == "video" and query.max_match_cuts:
            contained = find_contained_films(same_films)
            films_once = {film_id: film for film_id, film in by_id.items() if film_id not in contained}
            passages = [_build_passage(timeline, run) for run in runs]  # also those that near-duplicates explain
            found_cuts = find_match_cuts(rows, timeline, films_once, passages, thresholds.pair_score)
            cuts = list(islice(found_cuts, query.max_match_cuts))
    return Repeats(by_id, by_modality, tuple(merge_modalities(duplicates, stride_seconds)), tuple(cuts))


def _build_passage(timeline: ClipTimeline, run: DiagonalRun) -> RepeatedPassage:
    second = run.first + run.shift
    return RepeatedPassage(
        first=timeline.get_span(timeline.find_film(run.first), run.first, run.length),
        second=timeline.get_span(timeline.find_film(second), second, run.length, run.lag),
        score=run.score,
    )


def _read_annotations(library: Library, film: FilmEntry) -> FilmAnnotations:
    fps = library.profile.fps
    spans = {
        kind: [(span.start_frame / fps, span.end_frame / fps) for span in spans_of_kind]
        for kind, spans_of_kind in library.annotations_of(film.id).items()
    }
    return FilmAnnotations(film.film_id, film.name, spans)
