"""The verb: embed every film of a library that this model has not embedded yet."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch

from talkies.clips import ClipSource, sequential_batches
from talkies.core import ClipBatch, Embeddings, FilmId, LibraryError, UsageError
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.ann import bring_up_to_date
from talkies.retrieval.index.clip_positions import ClipPositions, clip_positions
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import EmbeddingSet, VectorIndex
from talkies.runs.clip_encoder import ClipEncoder, Encoded, load_encoder
from talkies.runtime import prefetch, map_on_ray

STRIDE_SECONDS = 1.0
_BATCHES_AHEAD = 2

Runner = Literal["local", "ray"]
OnFilm = Callable[[FilmEntry, int], None]
OnClips = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What an embedding did: the set, films and rows added, films that were there, films shorter than one clip, films
    taken out for the library has them no more, how long the films added last, and how long it took.
    """

    entry: EmbeddingSet
    films: int
    clips: int
    reused: int
    too_short: tuple[str, ...]
    removed: int
    film_seconds: float
    seconds: float

    @property
    def times_real_time(self) -> float:
        """How many seconds of film were embedded in a second."""
        return self.film_seconds / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class EmbedRunner:
    """Who encodes: this process, or `workers` films at a time a Ray cluster, that at `address` or one of this machine.

    Raises:
        UsageError: if there is no worker.
    """

    kind: Runner = "local"
    workers: int = 2
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"--workers must be at least 1, got {self.workers}")


def embed(
    library: str | Path,
    run: Path,
    stride_seconds: float = STRIDE_SECONDS,
    runner: EmbedRunner | None = None,
    on_film: OnFilm | None = None,
    on_clips: OnClips | None = None,
) -> EmbedReport:
    """Embed each accepted film's clips, one each `stride_seconds` and one of each shot, with a run's newest checkpoint.

    A film is added whole or not at all, so that this can be stopped at any time and given again. `on_film` is called
    after each film with its record and the number of films in all, `on_clips` with clips done and in all.

    Raises:
        RunError: if there is no such run, or it has no checkpoint.
        LibraryError: if there is no such library, it holds no film, or its grid is not the one that the model learnt.
        MediaError: if a film cannot be read; the films before it stay.
        WorkError: if another process embeds the library with the same model.
    """
    begun, opened = time.monotonic(), Library.open(library)
    films = opened.usable_films()
    encoder = load_encoder(run)
    entry = _set_of(encoder, opened, stride_seconds)
    index = VectorIndex(opened)
    with index.adding(entry.stamp):
        index.begin(entry)
        known = index.films_in(entry.stamp)
        gone = known - {film.film_id for film in opened.films() if film.usable}
        index.remove_films(entry.stamp, gone)
        new = [film for film in films if film.film_id not in known]
        laid = {film.film_id: _laid(opened, film, encoder, entry) for film in new}
        todo = {film.film_id: clips for film in new if (clips := laid[film.film_id]).requests}
        tell = on_film or (lambda *_: None)
        for film in films:
            if film.film_id not in todo:
                tell(film, len(films))
        entries = {film.film_id: film for film in films}
        added = 0
        for film_id, rows in _encoded(opened, encoder, todo, runner or EmbedRunner(), on_clips):
            index.add(entry.stamp, rows)
            added += len(rows)
            tell(entries[film_id], len(films))
        bring_up_to_date(index, entry.stamp)
    return EmbedReport(
        entry,
        len(todo),
        added,
        len(known - gone),
        tuple(film.name for film in new if film.film_id not in todo),
        len(gone),
        sum(entries[film_id].duration_seconds for film_id in todo),
        time.monotonic() - begun,
    )


def encode_all(
    encoder: ClipEncoder, batches: Iterable[ClipBatch], on_batch: Callable[[int], None] | None = None
) -> Encoded:
    """Return what the encoders make of all batches, as one; a thread reads while they work."""
    parts = []
    with prefetch(batches, _BATCHES_AHEAD) as coming:
        for batch in coming:
            parts.append(encoder.encode(batch))
            if on_batch:
                on_batch(len(batch))
    names = ("video_BD", "audio_BD", "film_B", "start_B")
    embeddings = Embeddings(*(torch.cat([getattr(part.embeddings, name) for part in parts]) for name in names))
    return Encoded(embeddings, torch.cat([p.video_BE for p in parts]), torch.cat([p.audio_BE for p in parts]))


def _set_of(encoder: ClipEncoder, library: Library, stride_seconds: float) -> EmbeddingSet:
    if library.profile != encoder.profile:
        raise LibraryError(
            f"{library.location} has another profile ({library.profile}) than the films of {encoder.run} "
            f"({encoder.profile}); ingest the films into a library of that profile"
        )
    fps = library.profile.fps
    if not 0 < stride_seconds < float("inf"):
        raise UsageError(f"a stride must be above 0 s and finite, got {stride_seconds:g}")
    return EmbeddingSet(
        stamp=encoder.stamp,
        run=str(encoder.run.absolute()),
        step=encoder.step,
        dim=encoder.dim,
        clip_seconds=encoder.shape.window_frames / fps,
        stride_seconds=max(1, round(stride_seconds * fps)) / fps,
    )


def _laid(library: Library, film: FilmEntry, encoder: ClipEncoder, entry: EmbeddingSet) -> ClipPositions:
    stride_frames = round(entry.stride_seconds * library.profile.fps)
    return clip_positions(film.id, film.frames, library.shots_of(film.id), encoder.shape, stride_frames)


def _encoded(
    library: Library,
    encoder: ClipEncoder,
    laid: Mapping[str, ClipPositions],
    runner: EmbedRunner,
    on_clips: OnClips | None,
) -> Iterator[tuple[str, IndexRows]]:
    """Yield the rows of each film as they are made."""
    done, total = 0, sum(len(clips.requests) for clips in laid.values())

    def count(clips: int) -> None:
        nonlocal done
        done += clips
        if on_clips:
            on_clips(done, total)

    if runner.kind == "ray":
        tasks = [
            _FilmTask(library.location, encoder.run, encoder.step, film_id, clips) for film_id, clips in laid.items()
        ]
        for task, rows in map_on_ray(_embed_film, tasks, runner.workers, runner.address):
            count(len(task.clips.requests))
            yield task.film_id, rows
        return
    with closing(ClipSource(library, encoder.shape)) as source:
        requests = [request for clips in laid.values() for request in clips.requests]
        batches = sequential_batches(source, requests, dict.fromkeys(map(FilmId, laid), 0), workers=None)
        of_films = groupby(batches, key=lambda batch: batch.requests[0].film_id)
        for film_id, clips in laid.items():
            embeddings = encode_all(encoder, next(of_films)[1], count).embeddings
            yield film_id, clips.rows(embeddings, library.profile.fps)


@dataclass(frozen=True, slots=True)
class _FilmTask:
    """One film, for a machine of a cluster: where the library and the run are as seen from there."""

    library: str
    run: Path
    step: int
    film_id: str
    clips: ClipPositions


def _embed_film(task: _FilmTask) -> IndexRows:
    library, encoder = Library.open(task.library), _encoder_of(task.run, task.step)
    with closing(ClipSource(library, encoder.shape)) as source:
        batches = sequential_batches(source, task.clips.requests, {FilmId(task.film_id): 0})
        return task.clips.rows(encode_all(encoder, batches).embeddings, library.profile.fps)


@lru_cache(maxsize=1)
def _encoder_of(run: Path, step: int) -> ClipEncoder:
    return load_encoder(run, step)
