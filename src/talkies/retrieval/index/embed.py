"""The verb: embed every film of a library that this model has not embedded yet."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from talkies.clips import read_batches, read_films
from talkies.core import LibraryError, UsageError
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.ann import update_ann_index
from talkies.retrieval.index.clip_positions import ClipPositions, compute_clip_positions
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import EmbeddingSet, VectorIndex
from talkies.runs import ClipEncoder, load_encoder
from talkies.runtime import map_on_ray

STRIDE_SECONDS = 1.0

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
    *,
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
    start_time = time.monotonic()
    opened = Library.open(library)
    films = opened.usable_films()
    encoder = load_encoder(run)
    entry = _describe_set(encoder, opened, stride_seconds)
    index = VectorIndex(opened)
    with index.lock_for_adding(entry.stamp):
        index.create_or_resume(entry)

        # Remove the films that left the library, and find those not yet embedded.
        known = index.list_films(entry.stamp)
        gone = known - {film.film_id for film in opened.films() if film.usable}
        index.remove_films(entry.stamp, gone)
        new = [film for film in films if film.film_id not in known]
        positions = {film: _compute_positions(opened, film, encoder, entry) for film in new}
        todo = {film: clips for film, clips in positions.items() if clips.requests}

        # Encode them film by film.
        report_film = on_film or (lambda *_: None)
        for film in films:
            if film not in todo:
                report_film(film, len(films))
        added = 0
        for film, rows in _encode_films(opened, encoder, todo, runner or EmbedRunner(), on_clips):
            index.add(entry.stamp, rows)
            added += len(rows)
            report_film(film, len(films))
        update_ann_index(index, entry.stamp)
    return EmbedReport(
        entry,
        films=len(todo),
        clips=added,
        reused=len(known - gone),
        too_short=tuple(film.name for film in new if film not in todo),
        removed=len(gone),
        film_seconds=sum(film.duration_seconds for film in todo),
        seconds=time.monotonic() - start_time,
    )


def _describe_set(encoder: ClipEncoder, library: Library, stride_seconds: float) -> EmbeddingSet:
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


def _compute_positions(library: Library, film: FilmEntry, encoder: ClipEncoder, entry: EmbeddingSet) -> ClipPositions:
    stride_frames = round(entry.stride_seconds * library.profile.fps)
    return compute_clip_positions(film.id, film.frames, library.shots_of(film.id), encoder.shape, stride_frames)


def _encode_films(
    library: Library,
    encoder: ClipEncoder,
    positions: Mapping[FilmEntry, ClipPositions],
    runner: EmbedRunner,
    on_clips: OnClips | None,
) -> Iterator[tuple[FilmEntry, IndexRows]]:
    """Yield each film with its rows, as they are encoded."""
    done, total = 0, sum(len(clips.requests) for clips in positions.values())

    def count_clips(clips: int) -> None:
        nonlocal done
        done += clips
        if on_clips:
            on_clips(done, total)

    if runner.kind == "ray":
        tasks = [
            _FilmTask(library.location, encoder.run, encoder.step, film, clips) for film, clips in positions.items()
        ]
        for task, rows in map_on_ray(_embed_film, tasks, runner.workers, runner.address):
            count_clips(len(task.clips.requests))
            yield task.film, rows
        return
    requests = {film: clips.requests for film, clips in positions.items()}
    for film, batches in read_films(library, encoder.shape, requests):
        embeddings = encoder.encode_batches(batches, count_clips).embeddings
        yield film, positions[film].build_rows(embeddings, library.profile.fps)


@dataclass(frozen=True, slots=True)
class _FilmTask:
    """One film for a machine of a cluster, with the library and the run as paths that it can open."""

    library: str
    run: Path
    step: int
    film: FilmEntry
    clips: ClipPositions


def _embed_film(task: _FilmTask) -> IndexRows:
    library, encoder = Library.open(task.library), _load_encoder(task.run, task.step)
    batches = read_batches(library, encoder.shape, task.clips.requests)
    return task.clips.build_rows(encoder.encode_batches(batches).embeddings, library.profile.fps)


@lru_cache(maxsize=1)
def _load_encoder(run: Path, step: int) -> ClipEncoder:
    return load_encoder(run, step)
