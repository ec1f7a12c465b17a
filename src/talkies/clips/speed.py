"""How fast clips are read on this machine, and what the time goes into."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.clips.fidelity import Originals
from talkies.clips.loader import LoaderConfig, loader
from talkies.clips.source import ClipSource
from talkies.core import ClipRequest, MediaError, SourceError, yuv_rows
from talkies.library import Library
from talkies.media import AudioReader, VideoReader
from talkies.sampling import BatchPlan

_FAR = 1_000_000  # steps: more than anybody waits for
_READY = 2  # batches that come before the clock is started


@dataclass(frozen=True, slots=True)
class WorkersSpeed:
    """How many clips a second so many worker processes give."""

    workers: int
    clips_per_second: float


@dataclass(frozen=True, slots=True)
class PartsOfClip:
    """What reading one clip in one process takes: opening its film (its share of that), pictures, sound; in seconds.

    `busy_share` is how much of the time the processor worked; for the rest it waited for the disk. Time in which other
    work had the processor does not count.
    """

    opening_seconds: float
    pictures_seconds: float
    sound_seconds: float
    busy_share: float

    @property
    def seconds(self) -> float:
        """The whole."""
        return self.opening_seconds + self.pictures_seconds + self.sound_seconds


def speed_of_workers(source: ClipSource, plan: BatchPlan, workers: int, seconds: float) -> WorkersSpeed:
    """Return what `workers` processes give, measured for about so many seconds after they have started."""
    clips, begun = 0, 0.0
    batches = loader(source, plan, range(_FAR), LoaderConfig(workers=workers))
    with closing(batches):  # type: ignore[type-var]  # it is a generator
        for number, batch in enumerate(batches):
            if number == _READY:
                clips, begun = 0, time.perf_counter()
            clips += len(batch)
            elapsed = time.perf_counter() - begun
            if number > _READY and elapsed > seconds:
                break
    return WorkersSpeed(workers, (clips - len(batch)) / elapsed)


def parts_of_clip(library: Library, source: ClipSource, requests: Sequence[ClipRequest]) -> PartsOfClip:
    """Return what reading these clips takes, film by film, each film opened anew."""
    shape, grid = source.shape, library.profile.grid
    clock, busy, queued = _Clock(), time.thread_time(), _queued_seconds()
    side = library.profile.short_side
    video = np.empty((shape.frames, yuv_rows(side), side), np.uint8)
    audio = np.empty(shape.audio_frames * grid.samples_per_frame, np.int16)
    for film_id in dict.fromkeys(request.film_id for request in requests):
        with clock.counting("opening"):
            pictures = VideoReader(library.proxy_path(film_id), grid.fps)
            sound = AudioReader(library.audio_path(film_id))
        for request in (r for r in requests if r.film_id == film_id):
            with clock.counting("pictures"):
                pictures.read_into(shape.select_video_frames(request.window), video)
            with clock.counting("sound"):
                sound.read_into(shape.select_audio_span(request.audio_window), audio)
        pictures.close()
    busy, queued, parts = time.thread_time() - busy, _queued_seconds() - queued, clock.seconds
    each = {f"{name}_seconds": parts[name] / len(requests) for name in ("opening", "pictures", "sound")}
    return PartsOfClip(**each, busy_share=min(1.0, busy / max(sum(parts.values()) - queued, 1e-9)))


def _queued_seconds() -> float:
    """Return how long this thread has waited for a processor that other work had; 0 where the system does not say."""
    told = Path("/proc/thread-self/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


class _Clock:
    """Adds up the seconds that go into named parts of a work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def counting(self, part: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun


def speed_of_originals(originals: Originals, requests: Sequence[ClipRequest], seconds: float) -> float | None:
    """Return how many clips a second are read from the source files, or nothing if none can be."""
    clips, begun = 0, time.perf_counter()
    for film_id in dict.fromkeys(request.film_id for request in requests):
        try:
            with originals.open(film_id) as original:
                for request in (r for r in requests if r.film_id == film_id):
                    originals.clip(original, request)
                    clips += 1
                    if time.perf_counter() - begun > seconds:
                        break
        except (MediaError, SourceError):
            continue
        if time.perf_counter() - begun > seconds:
            break
    return clips / (time.perf_counter() - begun) if clips else None
