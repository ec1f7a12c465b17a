"""The addresses of the library and its films: what there is, a film's timeline, its pictures."""

from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from talkies.core import Modality, Span
from talkies.library import SHOT, FilmEntry
from talkies.retrieval.index import EmbeddingSet
from talkies.retrieval.search import Searcher
from talkies.web.cache import LRUCache
from talkies.web.errors import FAULTS
from talkies.web.pictures import Pictures
from talkies.web.schemas import (
    FilmAnswer,
    FilmDetailAnswer,
    LibraryAnswer,
    ModelAnswer,
    ReasonAnswer,
    RecurrenceAnswer,
    RecurringAnswer,
)
from talkies.web.served_library import FilmIdInPath, Shelf
from talkies.web.sets import Sets
from talkies.web.waveform import peaks_of

Model = Annotated[str | None, Query(max_length=64, description="The stamp of a model; without: the newest")]
At = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False, description="A moment of the film, in seconds")]
Count = Annotated[int, Query(ge=1, le=60, description="How many pictures")]

_KEPT_FILMS = 200
_KEPT_SECONDS = {"cache-control": "private, max-age=300"}
_JPEG = {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}


class Timelines:
    """What is told of a film's time; its sound and what comes back are kept, for they take longest."""

    def __init__(self, shelf: Shelf, sets: Sets) -> None:
        self._shelf, self._sets = shelf, sets
        self._peaks: LRUCache[tuple[str, int], list[float]] = LRUCache(_KEPT_FILMS)
        self._recurrences: LRUCache[tuple[str, str, int], RecurrenceAnswer] = LRUCache(_KEPT_FILMS)

    def of(self, film: FilmEntry, stamp: str | None) -> FilmDetailAnswer:
        """Return a film with its timeline."""
        entry = self._sets.chosen(stamp) if stamp or self._sets.all() else None
        embedded = entry is not None and film.film_id in self._sets.films_in(entry)
        plain = film_answer(film, {film.film_id} if embedded else ())
        fps = self._shelf.library.profile.fps
        marks = self._shelf.library.annotations_of(film.id) if film.usable else {}
        spans = {kind: [_seconds(span, fps) for span in some] for kind, some in marks.items()}
        return FilmDetailAnswer(
            **dict(plain),
            shot_spans=spans.pop(SHOT, []),
            marks=spans,
            waveform=self._waveform(film) if film.usable else [],
            recurrence=self._recurrence(film, entry) if entry and embedded else None,
        )

    def _waveform(self, film: FilmEntry) -> list[float]:
        path, grid = self._shelf.file(film.film_id, "audio.wav"), self._shelf.library.profile.grid
        return self._peaks.get((film.film_id, path.stat().st_mtime_ns), lambda: peaks_of(path, grid))

    def _recurrence(self, film: FilmEntry, entry: EmbeddingSet) -> RecurrenceAnswer:
        key = film.film_id, entry.stamp, self._sets.version(entry)
        return self._recurrences.get(key, lambda: _recurrence(self._sets.searcher(entry.stamp), film.film_id))


def film_answer(film: FilmEntry, embedded: Collection[str]) -> FilmAnswer:
    """Return a film as it is told; `embedded` are the ids of those that the chosen set holds."""
    return FilmAnswer(
        film_id=film.film_id,
        source=film.name,
        verdict=str(film.verdict),
        reasons=[ReasonAnswer(code=reason.code, text=reason.text) for reason in film.reasons],
        duration_seconds=film.duration_seconds,
        shots=film.shots,
        width=film.width,
        height=film.height,
        usable=film.usable,
        embedded=film.film_id in embedded,
    )


def film_routes(shelf: Shelf, sets: Sets, upload_limit_bytes: int) -> APIRouter:
    """Return the addresses of the library and its films."""
    routes, pictures, timelines = APIRouter(prefix="/api", responses=FAULTS), Pictures(shelf), Timelines(shelf, sets)

    @routes.get("/library")
    def library(model: Model = None) -> LibraryAnswer:
        """Return what the library holds, and with which models it can be searched."""
        found = sets.all()
        chosen = sets.chosen(model) if model or found else None
        films_in = {entry.stamp: sets.films_in(entry) for entry in found}
        embedded = films_in.get(chosen.stamp, set()) if chosen else set()
        location = shelf.library.location
        return LibraryAnswer(
            name=location.rstrip("/").rpartition("/")[2] or location,
            version=version("talkies"),
            films=[film_answer(film, embedded) for film in shelf.films()],
            models=[_model_answer(entry, sets, len(films_in[entry.stamp])) for entry in found],
            model=chosen.stamp if chosen else None,
            notice=sets.notice(),
            upload_limit_bytes=upload_limit_bytes,
        )

    @routes.get("/films/{film_id}")
    def film(film_id: FilmIdInPath, model: Model = None) -> FilmDetailAnswer:
        """Return a film with its timeline."""
        return timelines.of(shelf.film(film_id), model)

    @routes.get("/films/{film_id}/frame.jpg", response_class=Response, responses={200: _JPEG})
    def frame(film_id: FilmIdInPath, at: At) -> Response:
        """Return the picture that is seen at a moment."""
        return Response(pictures.frame(shelf.film(film_id), at), media_type="image/jpeg", headers=_KEPT_SECONDS)

    @routes.get("/films/{film_id}/strip.jpg", response_class=Response, responses={200: _JPEG})
    def strip(film_id: FilmIdInPath, count: Count = 5) -> Response:
        """Return pictures of a film side by side."""
        return Response(pictures.strip(shelf.film(film_id), count), media_type="image/jpeg", headers=_KEPT_SECONDS)

    return routes


def _model_answer(entry: EmbeddingSet, sets: Sets, films: int) -> ModelAnswer:
    run = Path(entry.run)
    return ModelAnswer(
        stamp=entry.stamp,
        run=run.name,
        step=entry.step,
        clip_seconds=entry.clip_seconds,
        stride_seconds=entry.stride_seconds,
        rows=sets.index.count(entry.stamp),
        films=films,
        can_upload=run.is_dir(),
    )


def _recurrence(searcher: Searcher, film_id: str) -> RecurrenceAnswer:
    return RecurrenceAnswer(video=_recurring(searcher, film_id, "video"), audio=_recurring(searcher, film_id, "audio"))


def _recurring(searcher: Searcher, film_id: str, side: Modality) -> list[RecurringAnswer]:
    return [
        RecurringAnswer(
            start_seconds=start,
            end_seconds=end,
            score=score,
            film_id=there.film if there else None,
            at_seconds=there.at_seconds if there else None,
        )
        for start, end, score, there in searcher.compute_recurrence_curve(film_id, side)
    ]


def _seconds(span: Span, fps: int) -> tuple[float, float]:
    return span.start_frame / fps, span.end_frame / fps
