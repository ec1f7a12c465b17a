"""A library that is open for searching: every search sees what is there then, also what other processes have added.

Shapes: `B` rows, `D` embedding.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from talkies.core import Float32s, LibraryError, Modality, RunError, UsageError
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.ann import EXACT_BELOW, IndexState, nearest, sample, state_of
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import EmbeddingSet, VectorIndex, of_films
from talkies.retrieval.search.clip_sequence import Passage, passage_scores
from talkies.retrieval.search.example import LIMITS, example_of
from talkies.retrieval.search.hit_selection import HitSelector
from talkies.retrieval.search.query import Example, Hit, Moment, SearchQuery, SearchResult, sides_used, weights
from talkies.retrieval.search.score_threshold import SAMPLE, Floors, Pairs, scores
from talkies.runs.clip_encoder import ClipEncoder, load_encoder
from talkies.runtime import ProcessLimits

_MOST_ROWS = 16_384
_BLOCK = 64
_PASSAGES = 24
_ORDER_TELLS = np.float32(0.05)
_SAME_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class _Held:
    """What is held of a version of the set: all rows where they are few, and the floors."""

    version: int
    table: Any
    rows: IndexRows | None
    floors: Floors
    state: IndexState | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query's vectors, which of them is compared with what, and where it comes from."""

    vectors: Mapping[Modality, Float32s]
    pairs: Pairs
    passage: Passage | None
    source: str
    film_id: str | None
    start_seconds: float
    end_seconds: float
    shot: int = -1

    @property
    def weight(self) -> Mapping[Modality, Float32s]:
        """What a row's vectors are multiplied with."""
        return weights(self.vectors, self.pairs)

    def score(self, rows: IndexRows) -> Float32s:
        """Return how alike rows are: to the query on the mean or, from there on, from window to window.

        The mean counts a little less, for a clip beside the very passage may be as near to it.
        """
        score_B = scores(rows, self.weight)
        if self.passage is None:
            return score_B
        better_B: Float32s = np.maximum(score_B - _ORDER_TELLS, passage_scores(rows, self.passage, self.pairs))
        return better_B


class Searcher:
    """Searches one set of a library; for any number of threads.

    Raises:
        LibraryError: if the library has no embeddings, not those of the model `stamp`, or of several models and none
            was named.
    """

    def __init__(self, library: Library, stamp: str | None = None, exact_below: int = EXACT_BELOW) -> None:
        self.library, self._index, self._exact_below = library, VectorIndex(library), exact_below
        self.entry: EmbeddingSet = self._index.choose(stamp)
        self._lock = threading.Lock()
        self._newest: Any = None
        self._kept: _Held | None = None
        self._loading = threading.Lock()
        self._encoder: ClipEncoder | None = None

    def encoder(self) -> ClipEncoder:
        """Return the encoders that made the set; loaded once.

        Raises:
            LibraryError: if their run or its checkpoint is there no more, or holds another model now.
        """
        with self._loading:
            if self._encoder is None:
                self._encoder = _encoder_of(self.entry)
            return self._encoder

    def example(self, path: Path, name: str | None = None, limits: ProcessLimits = LIMITS) -> Example:
        """Return what a file, called `name`, looks and sounds like to the model that embedded the library.

        Raises:
            LibraryError: as `encoder`.
            MediaError, IsolationError: if it cannot be read.
        """
        return example_of(path, self.encoder(), self.entry.stride_seconds, name, limits)

    def search(self, query: SearchQuery) -> SearchResult:
        """Return the clips most like the query's, none of which overlaps it or a better one.

        One hit each shot or film leaves out the query's own shot or film.

        Raises:
            UsageError: if the moment is not in the film, the span is not, or a file lacks the side that is asked with.
            LibraryError: if there is no such film, it is not embedded, or the file was encoded by another model.
            MediaError, IsolationError: if a file cannot be read.
        """
        held, films = self._held(), {film.film_id: film for film in self.library.films() if film.usable}
        asked = self._asked(query, held)
        floor = held.floors.of(asked.vectors, asked.pairs)
        only = {self._usable(name).film_id for name in query.films}
        span_seconds = asked.start_seconds, asked.end_seconds
        chooser = HitSelector(query, asked.film_id, span_seconds, asked.shot, films, only or None)
        least = floor if query.floor else -np.inf
        for rows, score_B, whole in self._candidates(held, asked, query, only):
            places, done = chooser.choose(rows, score_B, least)
            if done or whole:
                break
        page = places[query.skip : query.skip + query.count]
        hits = tuple(_hit(rows, place, score_B[place], films) for place in page)
        exact = held.rows is not None
        recall = None if exact or held.state is None else min(held.state.recall[side] for side in asked.weight)
        return SearchResult(
            query=query,
            stamp=self.entry.stamp,
            hits=hits,
            more=len(places) > query.skip + query.count,
            floor=floor,
            exact=exact,
            recall=recall,
            film_id=asked.film_id,
            source=asked.source,
            start_seconds=asked.start_seconds,
            end_seconds=asked.end_seconds,
        )

    def likeness(self, query: SearchQuery, film: str) -> list[tuple[float, float, float]]:
        """Return start, end and score of each clip at the stride of a film, in order, by the sides of a query.

        Raises:
            UsageError, LibraryError, MediaError: as `search`.
        """
        held = self._held()
        rows = self._rows_of(held, self._usable(film))
        asked = self._asked(query, held)
        score_B = scores(rows, asked.weight)
        return list(zip(rows.start_B.tolist(), rows.end_B.tolist(), score_B.tolist(), strict=True))

    def recurrence(self, film: str, side: Modality) -> list[tuple[float, float, float, Moment | None]]:
        """Return start and end of each clip at the stride of a film, and how alike its likest clip elsewhere is.

        Elsewhere is in another film, or far enough in the same; of a set with an index, in the same film alone. The
        last part is where that clip begins; nothing if there is none.

        Raises:
            LibraryError: if there is no such film, or it is not embedded.
        """
        held, entry = self._held(), self._usable(film)
        rows = self._rows_of(held, entry)
        others = held.rows if held.rows is not None else rows
        others = others[~others.of_shot_B]
        sides = {"video": (rows.video_BD, others.video_BD), "audio": (rows.audio_BD, others.audio_BD)}
        mine_BD, other_ND = sides[side]
        same_N, apart = others.film_B == entry.film_id, max(4 * self.entry.clip_seconds, 5.0)
        found: list[tuple[float, float, float, Moment | None]] = []
        for begin in range(0, len(rows), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            score_BN = mine_BD[block] @ other_ND.T
            near_BN = same_N & (np.abs(rows.start_B[block, None] - others.start_B[None]) < apart)
            score_BN[near_BN] = -np.inf
            for place, best in enumerate(score_BN.argmax(1) if len(others) else ()):
                score, number = float(score_BN[place, best]), begin + place
                where = Moment(str(others.film_B[best]), float(others.start_B[best])) if np.isfinite(score) else None
                span = float(rows.start_B[number]), float(rows.end_B[number])
                found.append((*span, score if where else 0.0, where))
        return found

    def floor(self, from_: Modality, to: Modality) -> float:
        """Return the score from which on a clip counts as found; -1 where there are too few to tell what is chance."""
        return self._held().floors.of_random_pairs(((from_, to),))

    def _held(self) -> _Held:
        """Return what is held of the newest version of the set."""
        with self._lock:
            if self._newest is None:
                self._newest = self._index.table(self.entry.stamp)
            if self._kept is None or self._kept.version != int(self._newest.version):
                table = self._index.table(self.entry.stamp, still=True)
                version = int(table.version)
                count = table.count_rows()
                rows = IndexRows.of_table(table.to_arrow()) if count < self._exact_below else None
                some = sample(table, SAMPLE) if rows is None else _evenly(rows, SAMPLE)
                floors = Floors(some, count, self.entry.clip_seconds)
                state = state_of(self._index, self.entry.stamp)
                self._kept = _Held(version, table, rows, floors, state)
            return self._kept

    def _asked(self, query: SearchQuery, held: _Held) -> _Asked:
        shown = self.example(query.asked) if isinstance(query.asked, Path) else query.asked
        pairs = sides_used(query, shown)
        if isinstance(shown, Example):
            self._check_model(shown)
            both = (("video", shown.video_D), ("audio", shown.audio_D))
            vectors: dict[Modality, Float32s] = {side: vector for side, vector in both if vector is not None}  # type: ignore[misc]
            same = shown.passage and abs(shown.passage.stride_seconds - self.entry.stride_seconds) < _SAME_SECONDS
            return _Asked(vectors, pairs, shown.passage if same else None, shown.name, None, 0.0, shown.seconds)
        film, at = self._usable(shown.film), shown.at_seconds
        if not 0 <= at <= film.duration_seconds:
            raise UsageError(
                f"{film.name} lasts {film.duration_seconds:.2f} s, and the moment asked about is {at:g}; "
                "name a time inside it"
            )
        rows = self._rows_of(held, film, at)
        # Of two clips equally near, the later holds the moment: spans are half-open.
        here = len(rows) - 1 - int(np.abs(rows.middle_B - at)[::-1].argmin())
        vectors = {"video": rows.video_BD[here], "audio": rows.audio_BD[here]}
        span = float(rows.start_B[here]), float(rows.end_B[here])
        return _Asked(vectors, pairs, None, film.name, film.film_id, *span, int(rows.shot_B[here]))

    def _check_model(self, example: Example) -> None:
        if example.stamp != self.entry.stamp:
            raise LibraryError(
                f"{example.name} was encoded by another model (stamp {example.stamp}) than the embeddings searched "
                f"(stamp {self.entry.stamp}); give the file again"
            )

    def _usable(self, name: str) -> FilmEntry:
        film = self.library.find(name)
        if not film.usable:
            raise LibraryError(f"{film.name} was rejected at ingest ({film.reasons[0].text}); name an accepted film")
        return film

    def _rows_of(self, held: _Held, film: FilmEntry, near_seconds: float | None = None) -> IndexRows:
        """Return the clips at the stride of a film; of a large set, if a moment is told, those that may be nearest."""
        if held.rows is not None:
            rows = held.rows[held.rows.film_B == film.film_id]
        else:
            reach = self.entry.clip_seconds + self.entry.stride_seconds
            span = None if near_seconds is None else (near_seconds - reach, near_seconds + reach)
            rows = self._index.rows(self.entry.stamp, film.id, span)
        rows = rows[~rows.of_shot_B]
        if not len(rows):
            raise LibraryError(
                f"{film.name} is not embedded; run: "
                f"talkies embed --library {self.library.location} --run {self.entry.run}"
            )
        return rows

    def _candidates(
        self, held: _Held, asked: _Asked, query: SearchQuery, films: set[str]
    ) -> Iterator[tuple[IndexRows, Float32s, bool]]:
        """Yield ever more rows with their scores, and whether these are all; the first are mostly enough."""
        if held.rows is not None:
            yield held.rows, asked.score(held.rows), True
            return
        where, count = _condition(query, films), self._likely_rows(query)
        while len(asked.weight) == 1 and asked.passage is None:
            ((side, vector),) = asked.weight.items()
            rows, cosine_B = nearest(held.table, vector, side, count, where, bare=True)
            yield rows, cosine_B * np.float32(np.linalg.norm(vector)), len(rows) < count or count >= _MOST_ROWS
            count = min(4 * count, _MOST_ROWS)
        while True:
            parts = [nearest(held.table, vector, side, count, where)[0] for side, vector in asked.weight.items()]
            rows = IndexRows.concatenated(parts)
            if asked.passage:
                rows = _with_what_follows(held.table, rows, asked, where)
            rows = rows.once()
            yield rows, asked.score(rows), min(map(len, parts)) < count or count >= _MOST_ROWS
            count = min(4 * count, _MOST_ROWS)

    def _likely_rows(self, query: SearchQuery) -> int:
        """Return how many of the nearest rows mostly hold the hits: each could be met by those that overlap it."""
        overlapping = 2 * ceil(self.entry.clip_seconds / self.entry.stride_seconds)  # the clips of shots counted too
        return min((query.skip + query.count + 1) * overlapping, _MOST_ROWS)


def _condition(query: SearchQuery, films: set[str]) -> str:
    """Return what a query asks of rows, in LanceDB's words."""
    parts = [of_films(sorted(films))] if films else []
    if query.span_seconds:
        begin, end = query.span_seconds
        parts.append(f"start_seconds >= {begin}" + (f" AND end_seconds <= {end}" if isfinite(end) else ""))
    return " AND ".join(parts)


def _with_what_follows(table: Any, rows: IndexRows, asked: _Asked, where: str) -> IndexRows:
    """Return the rows, and all that lie where the passage could be that a good one is part of."""
    best = rows[np.argsort(-scores(rows, asked.weight))[:_PASSAGES]]
    around = [
        f"(film_id = '{film}' AND start_seconds >= {start - asked.end_seconds} AND "
        f"end_seconds <= {end + asked.end_seconds})"
        for film, start, end in zip(best.film_B, best.start_B.tolist(), best.end_B.tolist(), strict=True)
    ]
    condition = " OR ".join(around)
    found = table.search().where(f"({condition}) AND {where}" if where else condition).limit(_MOST_ROWS).to_arrow()
    return IndexRows.concatenated([rows, IndexRows.of_table(found)])


def _evenly(rows: IndexRows, count: int) -> IndexRows:
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64)
    return rows[np.unique(places)]


def _hit(rows: IndexRows, place: int, score: float, films: Mapping[str, FilmEntry]) -> Hit:
    film_id, shot = str(rows.film_B[place]), int(rows.shot_B[place])
    span = float(rows.start_B[place]), float(rows.end_B[place])
    return Hit(film_id, films[film_id].name, *span, float(score), shot if shot >= 0 else None)


def _encoder_of(entry: EmbeddingSet) -> ClipEncoder:
    try:
        encoder = load_encoder(Path(entry.run), entry.step)
    except RunError as error:
        raise LibraryError(
            f"to search with a file its model is needed, and it is there no more ({error}); "
            "search by a moment of a film"
        ) from error
    if encoder.stamp != entry.stamp:
        raise LibraryError(
            f"{entry.run} holds another model now (stamp {encoder.stamp}) than the one that embedded the library "
            f"(stamp {entry.stamp}); search by a moment of a film, or embed the library anew"
        )
    return encoder
