"""`talkies doctor`: measure whether training on this machine gets its clips fast enough, and whether they are right."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from talkies.clips.config import ClipConfig
from talkies.clips.original_comparison import ClipComparison, Originals
from talkies.clips.throughput import (
    ClipReadingTime,
    WorkerThroughput,
    measure_clip_reading,
    measure_originals,
    measure_workers,
)
from talkies.clips.training_clips import TrainingClips, open_training_clips
from talkies.core import ClipRequest, PlanError, UsageError, WorkError, format_count, quote_path
from talkies.library import FilmEntry, Library
from talkies.runtime import count_cores
from talkies.sampling import SamplingConfig

_MEASURED_SECONDS = 4.0  # for each number of workers
_CLIPS_PER_FILM = (32, 16, 8, 4, 2, 1)  # in a measured batch: the most that the films can give
_MEASURED_BATCHES = 4  # that are read clip by clip
_COMPARED_CLIPS = 24
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # where worker processes put their clips
_ENOUGH_SHARE = 0.95  # of the best rate: more workers than that are not worth their memory
_STEP_MARGIN = 1.2  # times what a step needs, because rates vary
_BUSY_SHARE = 0.6  # a processor that works less of the time waits for a disk
_BYTES_PER_PIXEL = 1.5  # of YUV 4:2:0
_BYTES_PER_SAMPLE = 2
_PARTS_PER_WORKER, _CLIPS_PER_PART = 3, 32  # that the loader keeps in shared memory


@dataclass(frozen=True, slots=True)
class Step:
    """A training step: how many clips it takes, and how many seconds it lasts once they are loaded."""

    clips: int
    seconds: float

    @property
    def clips_per_second(self) -> float:
        """How many clips a second the step needs."""
        return self.clips / self.seconds


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What the doctor measured, and what follows from it.

    `throughputs` are the rates by number of workers, `originals_per_second` is the rate of reading the source files,
    `comparisons` are clips compared with them, and `damaged` the films whose files are incomplete.
    """

    library: Library
    films: int
    clip: ClipConfig
    cores: int
    throughputs: tuple[WorkerThroughput, ...]
    reading_time: ClipReadingTime
    originals_per_second: float | None
    comparisons: tuple[ClipComparison, ...]
    damaged: tuple[FilmEntry, ...]
    step: Step | None
    other_load: float

    @property
    def best(self) -> WorkerThroughput:
        """The fastest number of workers."""
        return max(self.throughputs, key=lambda throughput: throughput.clips_per_second)

    @property
    def recommended(self) -> WorkerThroughput:
        """The fewest workers that are fast enough: for the given step, or else nearly as fast as the best."""
        enough = _ENOUGH_SHARE * self.best.clips_per_second
        if self.step and _STEP_MARGIN * self.step.clips_per_second < enough:
            enough = _STEP_MARGIN * self.step.clips_per_second
        return next(throughput for throughput in self.throughputs if throughput.clips_per_second >= enough)

    @property
    def torch_threads(self) -> int:
        """How many threads are left for training on the CPU."""
        return max(1, self.cores - self.recommended.workers)

    @property
    def starving_share(self) -> float:
        """The share of its time that the device would wait for clips, at the given step."""
        return max(0.0, 1 - self.best.clips_per_second / self.step.clips_per_second) if self.step else 0.0

    @property
    def bottleneck(self) -> str:
        """The slowest part of reading or training, in words."""
        if self.step and not self.starving_share:
            return "the training step: clips are ready before it needs them"
        reading = self.reading_time
        if reading.busy_share < _BUSY_SHARE:
            return f"the disk: the processor waits for it {1 - reading.busy_share:.0%} of the time"
        seconds = {
            "opening films": reading.opening_seconds,
            "decoding pictures": reading.pictures_seconds,
            "reading sound": reading.sound_seconds,
        }
        slowest = max(seconds, key=lambda part: seconds[part])
        return f"{slowest}: {seconds[slowest] / reading.seconds:.0%} of the time that a clip takes"

    @property
    def accuracy(self) -> str:
        """The result of comparing clips with their source films, in words."""
        offsets = [clip.frames_off for clip in self.comparisons if clip.frames_off is not None]
        lags = [abs(clip.lag_seconds) for clip in self.comparisons if clip.lag_seconds is not None]
        return (
            f"Every frame of {format_count(len(self.comparisons), 'clip')} has the requested time; compared with the "
            f"originals, {offsets.count(0)} of {len(offsets)} show the right pictures, and the sound is at most "
            f"{1000 * max(lags, default=0):.1f} ms off ({len(lags)} clips)."
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What needs attention, one sentence each."""
        warnings = (
            self._warn_of_starving(),
            self._warn_of_few_cores(),
            self._warn_of_other_load(),
            self._warn_of_shared_memory(),
            self._warn_of_missing_originals(),
        )
        return tuple(warning for warning in warnings if warning)

    def check(self) -> None:
        """Check that all clips are right.

        Raises:
            WorkError: naming the first film that is not.
        """
        if self.damaged:
            film = self.damaged[0]
            more = f" (and {format_count(len(self.damaged) - 1, 'more film')})" if len(self.damaged) > 1 else ""
            raise WorkError(
                f"{film.printable_name} is incomplete in {self.library.location}{more}; repair it with: "
                f"talkies ingest {quote_path(film.source)} --library {self.library.location}"
            )
        fps = self.library.profile.fps
        for clip in self.comparisons:
            if clip.frames_off or abs(clip.lag_seconds or 0.0) > 1 / fps:
                start = clip.request.window.start_frame / fps
                raise WorkError(
                    f"film {clip.request.film_id} does not match its source at {start:.2f} s: its pictures are "
                    f"{clip.frames_off or 0} frames off, its sound {1000 * (clip.lag_seconds or 0):.0f} ms"
                )

    def _warn_of_starving(self) -> str | None:
        if not self.step or not self.starving_share:
            return None
        return (
            f"a step of {self.step.clips} clips in {self.step.seconds:g} s needs "
            f"{self.step.clips_per_second:.0f} clips/s and gets {self.best.clips_per_second:.0f} at best: "
            f"the device would wait {self.starving_share:.0%} of the time"
        )

    def _warn_of_few_cores(self) -> str | None:
        if self.best.workers <= self.cores:
            return None
        return f"{self.best.workers} workers on {format_count(self.cores, 'core')} take them from the training"

    def _warn_of_other_load(self) -> str | None:
        if self.other_load <= self.cores / 2:
            return None
        return f"other work kept {self.other_load:.1f} cores busy when this started: the rates are too low"

    def _warn_of_shared_memory(self) -> str | None:
        profile = self.library.profile
        clip_bytes = self.clip.frames * profile.short_side**2 * _BYTES_PER_PIXEL
        clip_bytes += self.clip.audio_seconds * profile.audio_rate_hz * _BYTES_PER_SAMPLE
        needed = self.recommended.workers * _PARTS_PER_WORKER * _CLIPS_PER_PART * clip_bytes
        if not Path(_SHARED_MEMORY).is_dir() or (free := shutil.disk_usage(_SHARED_MEMORY).free) >= needed:
            return None
        return (
            f"{_SHARED_MEMORY} has {free / 1e6:.0f} MB free and {format_count(self.recommended.workers, 'worker')} may "
            f"fill {needed / 1e6:.0f} MB: give the container more (docker run --shm-size)"
        )

    def _warn_of_missing_originals(self) -> str | None:
        if any(clip.frames_off is not None for clip in self.comparisons):
            return None
        return "no clip could be compared with its original: the sources are gone, or nothing in them moves"


def examine(
    library: str | Path,
    clip: ClipConfig | None = None,
    most_workers: int | None = None,
    step: Step | None = None,
    on_part: Callable[[str], None] = lambda _: None,
) -> DoctorReport:
    """Measure how fast clips are read from a library, and compare some with their source films.

    Args:
        library: The library's folder.
        clip: What a clip is made of.
        most_workers: The largest number of workers that is measured; None takes the number of cores.
        step: The training step that the clips are for.
        on_part: Called with what is measured next, in words.

    Raises:
        UsageError: if there would be no worker.
        LibraryError, PlanError, ConfigError: as `open_training_clips`.
        WorkError: if no film of the library is complete.
        MediaError: if a film that seemed complete cannot be read.
    """
    clip = clip or ClipConfig()
    if most_workers is not None and most_workers < 1:
        raise UsageError(f"there must be at least one worker, got {most_workers}")
    opened, other_load = Library.open(library), os.getloadavg()[0]

    on_part("whether every film is complete")
    films = opened.usable_films()
    damaged = tuple(film for film in films if not opened.is_complete(film.id))
    complete = [film.film_id for film in films if film not in damaged]
    if not complete:
        first = quote_path(films[0].source)
        raise WorkError(f"no film of {library} is complete; ingest their sources again: talkies ingest {first} …")
    clips = _plan_clips(library, clip, complete)
    requests = [request for number in range(_MEASURED_BATCHES) for request in clips.plan.draw_batch(number)]
    with closing(clips.source) as source:
        on_part("clips against their originals")
        originals = Originals(opened, source)
        comparisons = originals.compare(_select_spread(requests, _COMPARED_CLIPS))

        on_part("what a clip takes")
        measure_clip_reading(opened, source, requests[: len(requests) // 2])  # the first reads come from the disk
        reading_time = measure_clip_reading(opened, source, requests)
        originals_per_second = measure_originals(originals, requests, _MEASURED_SECONDS)
    return DoctorReport(
        library=opened,
        films=len(films),
        clip=clip,
        cores=count_cores(),
        throughputs=_measure_throughputs(clips, most_workers or count_cores(), on_part),
        reading_time=reading_time,
        originals_per_second=originals_per_second,
        comparisons=tuple(comparisons),
        damaged=damaged,
        step=step,
        other_load=other_load,
    )


def _plan_clips(library: str | Path, clip: ClipConfig, films: list[str]) -> TrainingClips:
    """Return clips as training would draw them, as many of a film in a batch as the films can give."""
    for clips in _CLIPS_PER_FILM:
        sampling = SamplingConfig(films_per_batch=2 // min(clips, 2), clips_per_film=clips, short_films="leave_out")
        with suppress(PlanError):
            return open_training_clips(library, clip, sampling, 0, films)
    raise PlanError(f"no two clips of {clip.audio_seconds:g} s can be drawn from {library}; ingest longer films")


def _measure_throughputs(
    clips: TrainingClips, most_workers: int, on_part: Callable[[str], None]
) -> tuple[WorkerThroughput, ...]:
    throughputs = []
    for workers in _choose_worker_counts(most_workers):
        on_part(format_count(workers, "worker"))
        throughputs.append(measure_workers(clips.source, clips.plan, workers, _MEASURED_SECONDS))
    return tuple(throughputs)


def _choose_worker_counts(most: int) -> list[int]:
    """Return the numbers of workers to measure: powers of two, and the largest."""
    return sorted({*(1 << n for n in range(most.bit_length()) if 1 << n <= most), most})


def _select_spread(requests: list[ClipRequest], most: int) -> list[ClipRequest]:
    """Return at most `most` requests, spread over all."""
    return requests[:: max(1, len(requests) // most)][:most]
