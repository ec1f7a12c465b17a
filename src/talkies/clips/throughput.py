"""Measure how many clips a second this machine reads, and where the time goes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkies.clips.loader import LoaderConfig, load_batches
from talkies.clips.original_comparison import Originals
from talkies.clips.source import ClipSource
from talkies.core import ClipRequest, FilmId, MediaError, SourceError
from talkies.library import Library
from talkies.media import AudioReader, VideoReader
from talkies.runtime import count_cores
from talkies.sampling import BatchPlan

_STEPS = 1_000_000  # more than are ever measured
_WARM_UP_BATCHES = 2


@dataclass(frozen=True, slots=True)
class WorkerThroughput:
    """How many clips a second a number of worker processes reads, and how long the first batch took them."""

    workers: int
    clips_per_second: float
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipReadingTime:
    """The seconds that one process takes to read a clip: its share of opening the film, its pictures, its sound.

    `busy_share` is the share of the time in which the processor worked; in the rest it waited for the disk. Time in
    which the processor did other work does not count.
    """

    opening_seconds: float
    pictures_seconds: float
    sound_seconds: float
    busy_share: float

    @property
    def seconds(self) -> float:
        """The time for all three."""
        return self.opening_seconds + self.pictures_seconds + self.sound_seconds


def measure_workers(
    source: ClipSource, plan: BatchPlan, loader: LoaderConfig | int, seconds: float
) -> WorkerThroughput:
    """Return how many clips a second a loader reads, measured for about `seconds` after its workers have started.

    Args:
        source: reads the clips.
        plan: which clips each batch holds.
        loader: the number of workers, with how they read; or only their number.
        seconds: how long to measure.
    """
    config = LoaderConfig(workers=loader) if isinstance(loader, int) else loader
    workers = config.count_workers(count_cores())
    clips, start_time, called = 0, 0.0, time.perf_counter()
    start_seconds = 0.0
    with closing(load_batches(source, plan, range(_STEPS), config)) as batches:
        for number, batch in enumerate(batches):
            start_seconds = start_seconds or time.perf_counter() - called
            if number == _WARM_UP_BATCHES:
                clips, start_time = 0, time.perf_counter()
            clips += len(batch)
            elapsed = time.perf_counter() - start_time
            if number > _WARM_UP_BATCHES and elapsed > seconds:
                break
    return WorkerThroughput(workers, (clips - len(batch)) / elapsed, start_seconds)


def measure_clip_reading(library: Library, source: ClipSource, requests: Sequence[ClipRequest]) -> ClipReadingTime:
    """Return the mean time of reading these clips, film by film; each film is opened once."""
    shape, grid = source.shape, library.profile.grid
    video_TPW, audio_S = source.empty_batch()
    stopwatch = _Stopwatch()
    busy_start, queued_start = time.thread_time(), _read_queued_seconds()
    for film_id, film_requests in _group_by_film(requests):
        with stopwatch.measure("opening"):
            video_reader = VideoReader(library.proxy_path(film_id), grid.fps)
            audio_reader = AudioReader(library.audio_path(film_id))
        for request in film_requests:
            with stopwatch.measure("pictures"):
                video_reader.read_into(shape.select_video_frames(request.window), video_TPW)
            with stopwatch.measure("sound"):
                audio_reader.read_into(shape.select_audio_span(request.audio_window), audio_S)
        video_reader.close()
    busy, queued = time.thread_time() - busy_start, _read_queued_seconds() - queued_start

    seconds = stopwatch.seconds
    return ClipReadingTime(
        opening_seconds=seconds["opening"] / len(requests),
        pictures_seconds=seconds["pictures"] / len(requests),
        sound_seconds=seconds["sound"] / len(requests),
        busy_share=min(1.0, busy / max(sum(seconds.values()) - queued, 1e-9)),
    )


def measure_originals(originals: Originals, requests: Sequence[ClipRequest], seconds: float) -> float | None:
    """Return how many clips a second are read from the source files, or None if none can be read."""
    clips, start_time = 0, time.perf_counter()
    for film_id, film_requests in _group_by_film(requests):
        try:
            with originals.open(film_id) as original:
                for request in film_requests:
                    originals.read_clip(original, request)
                    clips += 1
                    if time.perf_counter() - start_time > seconds:
                        break
        except (MediaError, SourceError):
            continue
        if time.perf_counter() - start_time > seconds:
            break
    return clips / (time.perf_counter() - start_time) if clips else None


def _group_by_film(requests: Sequence[ClipRequest]) -> list[tuple[FilmId, list[ClipRequest]]]:
    """Return each film with its requests; the films in the order in which they first come."""
    groups: dict[FilmId, list[ClipRequest]] = {}
    for request in requests:
        groups.setdefault(request.film_id, []).append(request)
    return list(groups.items())


def _read_queued_seconds() -> float:
    """Return how long this thread has waited for a busy processor; 0 where the system does not say."""
    statistics = Path("/proc/thread-self/schedstat")
    return int(statistics.read_text().split()[1]) / 1e9 if statistics.exists() else 0.0


class _Stopwatch:
    """Adds up the seconds spent in each named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        start_time = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start_time
