"""The verb: what comes back in a library by sound and by picture, which films are the same, and which cuts would match.

Everything is compared with everything, in blocks: of N clips, N² cosines are computed and at most 32 a clip are kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np

from talkies.core import LibraryError, Modality, UsageError
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import EmbeddingSet, VectorIndex
from talkies.retrieval.recurrence.duplicates import Duplicate, find_duplicates, joined_by_sides, lesser_films
from talkies.retrieval.recurrence.families import Family, Passage, families_of
from talkies.retrieval.recurrence.match_cuts import MatchCut, match_cuts
from talkies.retrieval.recurrence.passages import Run, find_runs, levels_of
from talkies.retrieval.recurrence.similarity import FilmMarks, Sequences, sequences
from talkies.runs.exported_model import stamp_at

SIDES: tuple[Modality, ...] = ("video", "audio")
LEAST_SECONDS = 4.0
MATCH_CUTS = 50
_ROOM = 8  # places between films, besides what is compared


@dataclass(frozen=True, slots=True)
class RepeatQuery:
    """What to look for: by which sides, passages of how many seconds at least, and how many match cuts at most.

    Raises:
        UsageError: if nothing could be found so.
    """

    sides: tuple[Modality, ...] = SIDES
    least_seconds: float = LEAST_SECONDS
    match_cuts: int = MATCH_CUTS

    def __post_init__(self) -> None:
        if not 1 <= self.least_seconds <= 3600:
            raise UsageError(f"--least must be 1 to 3600 seconds, got {self.least_seconds:g}")
        if self.match_cuts < 0:
            raise UsageError(f"--match-cuts must not be negative, got {self.match_cuts}")


@dataclass(frozen=True, slots=True)
class SideRepeats:
    """What one side shows: how many clips were compared and how many left out, the score of a clip from which on it was
    looked at, and the families of passages, those that take most time first.
    """

    clips: int
    left_out: int
    least_score: float
    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What comes back, by sides; near-duplicate films, by whichever side; match-cut candidates, best first.

    `films` are those that were compared, by id.
    """

    films: Mapping[str, FilmMarks]
    sides: Mapping[Modality, SideRepeats]
    duplicates: tuple[Duplicate, ...] = ()
    match_cuts: tuple[MatchCut, ...] = ()


@dataclass(frozen=True, slots=True)
class LibraryRepeats:
    """What comes back in a library: the set of embeddings that tells it, and the films that the set lacks, by name."""

    library: Library
    entry: EmbeddingSet
    found: Repeats
    not_embedded: tuple[str, ...]


def find_repeats(library: str | Path, query: RepeatQuery | None = None, run: Path | None = None) -> LibraryRepeats:
    """Return what comes back in a library.

    With `run` (or an exported model) the embeddings must be that model's; without it there must be one set alone.

    Raises:
        LibraryError: if there is no such library, it has no embeddings, or they are another model's.
        RunError: if there is no such run.
    """
    opened = Library.open(library)
    index = VectorIndex(opened)
    entry = index.choose(stamp_at(run) if run else None)
    rows = index.rows(entry.stamp)
    there, films = set(rows.film_B.tolist()), opened.usable_films()
    marked = [_marks(opened, film) for film in films if film.film_id in there]
    if not marked:
        raise LibraryError(
            f"no film of {opened.location} is embedded with model {entry.stamp}; "
            f"run: talkies embed --library {opened.location} --run {entry.run}"
        )
    found = repeats_among(rows, marked, entry.stride_seconds, query or RepeatQuery())
    return LibraryRepeats(opened, entry, found, tuple(film.name for film in films if film.film_id not in there))


def repeats_among(rows: IndexRows, films: Iterable[FilmMarks], stride_seconds: float, query: RepeatQuery) -> Repeats:
    """Return what comes back among the clips of `films`, which lie `stride_seconds` apart."""
    by_id = {film.film_id: film for film in sorted(films, key=lambda film: film.film_id)}
    sides: dict[Modality, SideRepeats] = {}
    duplicates: list[Duplicate] = []
    cuts: list[MatchCut] = []
    for side in query.sides:
        clip_seconds = float(np.median(rows.end_B - rows.start_B)) if len(rows) else stride_seconds
        margin = ceil((query.least_seconds + 2 * clip_seconds) / stride_seconds) + _ROOM
        found = sequences(rows, side, stride_seconds, by_id, margin)
        levels = levels_of(found, query.least_seconds)
        runs = find_runs(found, levels)
        same, rest = find_duplicates(side, found, runs, levels)
        duplicates += same
        families = families_of([_passage(found, run) for run in rest])
        at_stride = int(np.count_nonzero(~rows.of_shot_B & np.isin(rows.film_B.astype(str), list(by_id))))
        sides[side] = SideRepeats(len(found), at_stride - len(found), levels.cell, tuple(families))
        if side == "video" and query.match_cuts:
            films_once = {film_id: film for film_id, film in by_id.items() if film_id not in lesser_films(same)}
            passages = [_passage(found, run) for run in runs]  # also those of films that are the same for a part
            cuts = list(islice(match_cuts(rows, found, films_once, passages, levels.cell), query.match_cuts))
    return Repeats(by_id, sides, tuple(joined_by_sides(duplicates, stride_seconds)), tuple(cuts))


def _passage(found: Sequences, run: Run) -> Passage:
    second_place = run.first_place + run.shift
    first, second = found.film_at(run.first_place), found.film_at(second_place)
    return Passage(
        found.span_of(first, run.first_place, run.length),
        found.span_of(second, second_place, run.length, run.lag),
        run.score,
    )


def _marks(library: Library, film: FilmEntry) -> FilmMarks:
    fps = library.profile.fps
    spans = {
        kind: [(span.start_frame / fps, span.end_frame / fps) for span in some]
        for kind, some in library.annotations_of(film.id).items()
    }
    return FilmMarks(film.film_id, film.name, spans)
