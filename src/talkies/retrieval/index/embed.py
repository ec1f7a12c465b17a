"""The embed verb: embed the films of a library that are not yet embedded with a model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from torch.nn.functional import normalize

from talkies.clips import read_batches, read_films
from talkies.core import Embeddings, Framing, LibraryError, UsageError, expand_requests, list_places, path_to_text
from talkies.library import FilmEntry, Library, Profile
from talkies.retrieval.index.ann import update_ann_index
from talkies.retrieval.index.clip_positions import ClipPositions, compute_clip_positions
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex
from talkies.runs import ClipEncoder, is_model_address, load_encoder, make_address_absolute
from talkies.runtime import map_on_ray

STRIDE_SECONDS = 1.0

Runner = Literal["local", "ray"]
OnFilm = Callable[[FilmEntry, int], None]
OnClips = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What a run of `embed` did.

    Args:
        entry: The embedding set.
        films: The number of films added.
        clips: The number of rows added.
        reused: The number of films that were already embedded.
        too_short: The names of the films shorter than one clip.
        removed: The number of films removed because they left the library.
        film_seconds: The total duration of the films added.
        seconds: How long it took.
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
        """The seconds of film that were embedded per second."""
        return self.film_seconds / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class EmbedRunner:
    """Where films are encoded.

    Args:
        kind: `local`: in this process; `ray`: on a Ray cluster.
        workers: The number of films that a cluster encodes at a time.
        address: The cluster's address; None starts one on this machine.

    Raises:
        UsageError: if there are no workers.
    """

    kind: Runner = "local"
    workers: int = 2
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"--workers must be at least 1, got {self.workers}")


def embed(
    library: str | Path,
    run: str | Path,
    stride_seconds: float = STRIDE_SECONDS,
    *,
    framing: Framing = "centre",
    runner: EmbedRunner | None = None,
    on_film: OnFilm | None = None,
    on_clips: OnClips | None = None,
) -> EmbedReport:
    """Embed every accepted film that is not embedded yet, with a run's newest checkpoint or with public encoders.

    A film is added completely or not at all, so this can be stopped at any time and run again.

    Args:
        library: The folder or URL of the library.
        run: The folder of a run or of an exported model, or the address of public encoders, such as `hf:FOLDER`.
        stride_seconds: The stride between clips; each shot gets one more clip, in its middle.
        framing: `centre`: the middle square of a picture; `crops`: three, averaged; `whole`: all of it.
        runner: Where films are encoded; None: in this process.
        on_film: Called after each film with its entry and the total number of films.
        on_clips: Called after each batch with the number of clips done and the total.

    Returns:
        What was added.

    Raises:
        RunError, ConfigError: if there is no such run, or the model cannot be loaded.
        LibraryError: if there is no such library, it holds no film, or its profile is not that of the model's films.
        MediaError: if a film cannot be read; the films before it stay embedded.
        WorkError: if another process embeds the library with the same model.
    """
    start_time = time.monotonic()
    opened = Library.open(library)
    films, encoder = opened.usable_films(), _load_model(run, opened)
    entry, index = _describe_set(encoder, opened, stride_seconds, framing), VectorIndex(opened)
    with index.lock_for_adding(entry.stamp):
        index.create_or_resume(entry)
        work = _plan_work(index, opened, films, encoder, entry)
        report_film = on_film or (lambda *_: None)
        for film in films:
            if film not in work.todo:
                report_film(film, len(films))
        added = 0
        new = _encode_films(opened, encoder, work.todo, runner or EmbedRunner(), on_clips, framing=framing)
        for film, rows in new:
            index.add(entry.stamp, rows)
            added += len(rows)
            report_film(film, len(films))
        update_ann_index(index, entry.stamp)
    return EmbedReport(
        entry,
        films=len(work.todo),
        clips=added,
        reused=work.reused,
        too_short=work.too_short,
        removed=work.removed,
        film_seconds=sum(film.duration_seconds for film in work.todo),
        seconds=time.monotonic() - start_time,
    )


def _load_model(run: str | Path, library: Library) -> ClipEncoder:
    is_public = isinstance(run, str) and is_model_address(run)
    return load_encoder(make_address_absolute(str(run)) if is_public else run, profile=library.profile)


def _describe_set(encoder: ClipEncoder, library: Library, stride_seconds: float, framing: Framing) -> EmbeddingSet:
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
        run=encoder.run if isinstance(encoder.run, str) else path_to_text(encoder.run.absolute()),
        step=encoder.step,
        dims=encoder.dims,
        joint=encoder.joint,
        text=encoder.text_modalities,
        clip_seconds=encoder.shape.window_frames / fps,
        stride_seconds=max(1, round(stride_seconds * fps)) / fps,
        framing=framing,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """The films to encode with their clips, and how the other films were accounted for, as in `EmbedReport`."""

    todo: Mapping[FilmEntry, ClipPositions]
    too_short: tuple[str, ...]
    reused: int
    removed: int


def _plan_work(
    index: VectorIndex, library: Library, films: Sequence[FilmEntry], encoder: ClipEncoder, entry: EmbeddingSet
) -> _Work:
    """Remove the films that left the library from the set, and return those that it does not hold yet."""
    known = index.list_films(entry.stamp)
    gone = known - {film.film_id for film in library.films() if film.usable}
    index.remove_films(entry.stamp, gone)

    new = [film for film in films if film.film_id not in known]
    positions = {film: _compute_positions(library, film, encoder, entry) for film in new}
    return _Work(
        todo={film: clips for film, clips in positions.items() if clips.requests},
        too_short=tuple(film.name for film, clips in positions.items() if not clips.requests),
        reused=len(known - gone),
        removed=len(gone),
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
    *,
    framing: Framing,
) -> Iterator[tuple[FilmEntry, IndexRows]]:
    """Yield each film with its rows, as they are encoded."""
    squares = len(list_places(framing))
    done, total = 0, squares * sum(len(clips.requests) for clips in positions.values())

    def count_clips(clips: int) -> None:
        nonlocal done
        done += clips
        if on_clips:
            on_clips(done, total)

    if runner.kind == "ray":
        tasks = [
            _FilmTask(library.location, encoder.run, encoder.step, film, clips, framing)
            for film, clips in positions.items()
        ]
        for task, rows in map_on_ray(_embed_film, tasks, runner.workers, runner.address):
            count_clips(squares * len(task.clips.requests))
            yield task.film, rows
        return
    requests = {film: expand_requests(clips.requests, framing) for film, clips in positions.items()}
    films = read_films(library, encoder.shape, requests, framing=framing, device_type=encoder.device.type)
    for film, batches in films:
        embeddings = average_squares(encoder.encode_batches(batches, count_clips).embeddings, squares)
        yield film, positions[film].build_rows(embeddings, library.profile.fps)


@dataclass(frozen=True, slots=True)
class _FilmTask:
    """One film for a machine of a cluster, with the library and the run as paths that it can open."""

    library: str
    run: str | Path
    step: int
    film: FilmEntry
    clips: ClipPositions
    framing: Framing


def _embed_film(task: _FilmTask) -> IndexRows:
    library = Library.open(task.library)
    encoder = _load_encoder(task.run, task.step, library.profile)
    requests = expand_requests(task.clips.requests, task.framing)
    batches = read_batches(library, encoder.shape, requests, framing=task.framing)
    embeddings = average_squares(encoder.encode_batches(batches).embeddings, len(list_places(task.framing)))
    return task.clips.build_rows(embeddings, library.profile.fps)


def average_squares(embeddings: Embeddings, squares: int) -> Embeddings:
    """Return the embeddings of clips from those of their squares, which follow one another: unit mean rows."""
    if squares == 1:
        return embeddings
    video_BD, audio_BD = (
        normalize(rows.view(len(rows) // squares, squares, rows.shape[1]).mean(1), dim=1)
        for rows in (embeddings.video_BD, embeddings.audio_BD)
    )
    return Embeddings(video_BD, audio_BD, embeddings.film_B[::squares], embeddings.start_B[::squares])


@lru_cache(maxsize=1)
def _load_encoder(run: str | Path, step: int, profile: Profile) -> ClipEncoder:
    return load_encoder(run, step, profile=profile)
