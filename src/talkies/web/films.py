"""The API routes of the library and its films: what the library holds, a film's timeline, its pictures."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from talkies.core import MODALITIES, Modality, Span, path_to_text, text_to_path
from talkies.library import SHOT, FilmEntry
from talkies.retrieval.index import EmbeddingSet
from talkies.retrieval.search import Searcher
from talkies.runs.texts import explain_no_words
from talkies.web.cache import LRUCache
from talkies.web.errors import ERROR_ANSWERS
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
from talkies.web.served_library import FilmIdInPath, ServedLibrary
from talkies.web.served_models import ServedModels
from talkies.web.waveform import compute_peaks

Model = Annotated[str | None, Query(max_length=64, description="Stamp of a model; the newest if it is left out")]
At = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False, description="Time in the film, in seconds")]
Count = Annotated[int, Query(ge=1, le=60, description="Number of pictures")]

_MAX_CACHED_FILMS = 200
_CACHE_BRIEFLY = {"cache-control": "private, max-age=300"}
_JPEG = {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}


class Timelines:
    """Builds the timelines of films; their waveforms and recurrence curves are cached because they are slow."""

    def __init__(self, served: ServedLibrary, models: ServedModels) -> None:
        self._served = served
        self._models = models
        self._waveforms: LRUCache[tuple[str, int], list[float]] = LRUCache(_MAX_CACHED_FILMS)
        self._recurrences: LRUCache[tuple[str, str, int], RecurrenceAnswer] = LRUCache(_MAX_CACHED_FILMS)

    def build(self, film: FilmEntry, stamp: str | None) -> FilmDetailAnswer:
        """Return a film with its timeline, for a model or the newest one."""
        library = self._served.library
        entry = self._models.choose(stamp) if stamp or self._models.list_searchable() else None
        embedded = entry is not None and film.film_id in self._models.list_film_ids(entry)
        facts = build_film_answer(film, {film.film_id} if embedded else ())

        annotations = library.annotations_of(film.id) if film.usable else {}
        fps = library.profile.fps
        spans = {kind: [_to_seconds(span, fps) for span in kind_spans] for kind, kind_spans in annotations.items()}
        return FilmDetailAnswer(
            **dict(facts),
            shot_spans=spans.pop(SHOT, []),
            marks=spans,
            waveform=self._get_waveform(film) if film.usable else [],
            recurrence=self._get_recurrence(film, entry) if entry and embedded else None,
        )

    def _get_waveform(self, film: FilmEntry) -> list[float]:
        path = self._served.get_file_path(film.film_id, "audio.wav")
        grid = self._served.library.profile.grid
        return self._waveforms.get((film.film_id, path.stat().st_mtime_ns), lambda: compute_peaks(path, grid))

    def _get_recurrence(self, film: FilmEntry, entry: EmbeddingSet) -> RecurrenceAnswer:
        key = film.film_id, entry.stamp, self._models.get_version(entry)
        return self._recurrences.get(
            key, lambda: _build_recurrence(self._models.get_searcher(entry.stamp), film.film_id)
        )


def build_film_answer(film: FilmEntry, embedded: Collection[str]) -> FilmAnswer:
    """Return the document of a film; `embedded` holds the ids of the films that the chosen model embedded."""
    return FilmAnswer(
        film_id=film.film_id,
        source=film.name,
        other_names=list(film.other_names),
        verdict=str(film.verdict),
        reasons=[ReasonAnswer(code=reason.code, text=reason.text) for reason in film.reasons],
        duration_seconds=film.duration_seconds,
        shots=film.shots,
        width=film.width,
        height=film.height,
        usable=film.usable,
        embedded=film.film_id in embedded,
    )


def build_film_routes(served: ServedLibrary, models: ServedModels, upload_limit_bytes: int) -> APIRouter:
    """Return the routes of the library and its films."""
    routes = APIRouter(prefix="/api", responses=ERROR_ANSWERS)
    pictures = Pictures(served)
    timelines = Timelines(served, models)

    @routes.get("/library")
    def get_library(model: Model = None) -> LibraryAnswer:
        """Return what the library holds, and the models that it can be searched with."""
        return build_library_answer(served, models, model, upload_limit_bytes)

    @routes.get("/films/{film_id}")
    def get_film(film_id: FilmIdInPath, model: Model = None) -> FilmDetailAnswer:
        """Return a film with its timeline."""
        return timelines.build(served.get_film(film_id), model)

    @routes.get("/films/{film_id}/frame.jpg", response_class=Response, responses={200: _JPEG})
    def get_frame(film_id: FilmIdInPath, at: At) -> Response:
        """Return the frame that is visible at a time of the film."""
        jpeg = pictures.encode_frame(served.get_film(film_id), at)
        return Response(jpeg, media_type="image/jpeg", headers=_CACHE_BRIEFLY)

    @routes.get("/films/{film_id}/strip.jpg", response_class=Response, responses={200: _JPEG})
    def get_strip(film_id: FilmIdInPath, count: Count = 5) -> Response:
        """Return frames of a film side by side."""
        jpeg = pictures.encode_strip(served.get_film(film_id), count)
        return Response(jpeg, media_type="image/jpeg", headers=_CACHE_BRIEFLY)

    return routes


def build_library_answer(
    served: ServedLibrary, models: ServedModels, stamp: str | None, upload_limit_bytes: int
) -> LibraryAnswer:
    """Return the document of the library, seen with one model or the newest one."""
    searchable = models.list_searchable()
    chosen = models.choose(stamp) if stamp or searchable else None
    film_ids = {entry.stamp: models.list_film_ids(entry) for entry in searchable}
    embedded = film_ids.get(chosen.stamp, set()) if chosen else set()
    location = served.library.location
    return LibraryAnswer(
        name=path_to_text(location.rstrip("/").rpartition("/")[2] or location),
        version=version("talkies"),
        films=[build_film_answer(film, embedded) for film in served.list_films()],
        models=[_build_model_answer(entry, models, len(film_ids[entry.stamp])) for entry in searchable],
        model=chosen.stamp if chosen else None,
        notice=models.get_notice(),
        upload_limit_bytes=upload_limit_bytes,
    )


def _build_model_answer(entry: EmbeddingSet, models: ServedModels, films: int) -> ModelAnswer:
    return ModelAnswer(
        stamp=entry.stamp,
        run=entry.name,
        step=entry.step,
        clip_seconds=entry.clip_seconds,
        stride_seconds=entry.stride_seconds,
        rows=models.index.count(entry.stamp),
        films=films,
        can_upload=entry.is_public or text_to_path(entry.run).is_dir(),
        sides=list(entry.modalities),
        joint=entry.joint,
        text=list(entry.text),
        no_words=None if entry.text else explain_no_words(entry.name, entry.modalities[0], ()),
    )


def _build_recurrence(searcher: Searcher, film_id: str) -> RecurrenceAnswer:
    video, audio = (
        _list_recurring(searcher, film_id, modality) if modality in searcher.entry.modalities else []
        for modality in MODALITIES
    )
    return RecurrenceAnswer(video=video, audio=audio)


def _list_recurring(searcher: Searcher, film_id: str, modality: Modality) -> list[RecurringAnswer]:
    return [
        RecurringAnswer(
            start_seconds=start,
            end_seconds=end,
            score=score,
            film_id=elsewhere.film if elsewhere else None,
            at_seconds=elsewhere.at_seconds if elsewhere else None,
        )
        for start, end, score, elsewhere in searcher.compute_recurrence_curve(film_id, modality)
    ]


def _to_seconds(span: Span, fps: int) -> tuple[float, float]:
    return span.start_frame / fps, span.end_frame / fps
