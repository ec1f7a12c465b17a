"""The verb: measure, on this machine and these films, whether training gets its clips in time, and the right ones."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from talkies.clips.config import ClipConfig
from talkies.clips.fidelity import Fidelity, Originals
from talkies.clips.source import ClipSource
from talkies.clips.speed import PartsOfClip, WorkersSpeed, parts_of_clip, speed_of_originals, speed_of_workers
from talkies.clips.training import open_for_training
from talkies.clips.workers import count_cores
from talkies.core import ClipRequest, PlanError, UsageError, WorkError, format_count
from talkies.library import FilmEntry, Library
from talkies.sampling import BatchPlan, SamplingConfig

_SECONDS = 4.0  # for each number of workers
_CLIPS = (32, 16, 8, 4, 2, 1)  # of one film in a batch that is measured: as many as its films can give
_BATCHES = 4  # that are looked at one clip at a time
_SHARED = "/dev/shm"  # noqa: S108  # where worker processes leave their clips
_COMPARED = 24  # clips that are compared with the originals
_ENOUGH = 0.95  # of the best rate: more workers than that are not worth their memory
_ROOM = 1.2  # times what a step needs: rates vary
_BUSY = 0.6  # of the time: a processor that works less waits for a disk
_PICTURE_BYTES = 1.5  # bytes a pixel of YUV 4:2:0


@dataclass(frozen=True, slots=True)
class Step:
    """A training step: how many clips it takes, and how long it lasts where they are ready."""

    clips: int
    seconds: float

    @property
    def clips_per_second(self) -> float:
        """How many clips it needs."""
        return self.clips / self.seconds


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found: `workers` is advised, `torch_threads` are left for training on a CPU; `warnings` are sentences.

    `broken` are films whose files are not whole; `fidelity` are clips beside their originals, `original` how many
    clips a second the original files give.
    """

    library: Library
    films: int
    clip: ClipConfig
    cores: int
    speeds: tuple[WorkersSpeed, ...]
    parts: PartsOfClip
    original: float | None
    fidelity: tuple[Fidelity, ...]
    broken: tuple[FilmEntry, ...]
    step: Step | None
    other_load: float

    @property
    def best(self) -> WorkersSpeed:
        """The fastest number of workers."""
        return max(self.speeds, key=lambda speed: speed.clips_per_second)

    @property
    def advised(self) -> WorkersSpeed:
        """The fewest workers that are enough: for the step that was told, or else about the best there is."""
        enough = _ENOUGH * self.best.clips_per_second
        if self.step and _ROOM * self.step.clips_per_second < enough:
            enough = _ROOM * self.step.clips_per_second
        return next(speed for speed in self.speeds if speed.clips_per_second >= enough)

    @property
    def torch_threads(self) -> int:
        """How many threads are left for training on the CPU."""
        return max(1, self.cores - self.advised.workers)

    @property
    def starving_share(self) -> float:
        """Which share of its time the device would wait for clips at the step that was told."""
        return max(0.0, 1 - self.best.clips_per_second / self.step.clips_per_second) if self.step else 0.0

    @property
    def bottleneck(self) -> str:
        """What holds up reading or training, in words."""
        if self.step and not self.starving_share:
            return "the training step: clips are there before it wants them"
        parts = self.parts
        if parts.busy_share < _BUSY:
            return f"the disk: the processor waits for it {1 - parts.busy_share:.0%} of the time"
        names = {"opening films": parts.opening_seconds, "decoding pictures": parts.pictures_seconds}
        names["reading sound"] = parts.sound_seconds
        name = max(names, key=lambda key: names[key])
        return f"{name}: {names[name] / parts.seconds:.0%} of the time that a clip takes"

    @property
    def right(self) -> str:
        """What comparing clips with their originals showed, in words."""
        pictures = [f.frames_off for f in self.fidelity if f.frames_off is not None]
        lags = [abs(f.lag_seconds) for f in self.fidelity if f.lag_seconds is not None]
        times = f"Every frame of {format_count(len(self.fidelity), 'clip')} was of the time it was asked for"
        beside = f"beside the originals {pictures.count(0)} of {len(pictures)} show the right pictures"
        return (
            f"{times}; {beside}, and the sound is at most {1000 * max(lags, default=0):.1f} ms off ({len(lags)} clips)."
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be looked after, a sentence each."""
        return tuple(_warnings(self))

    def check(self) -> None:
        """Do nothing if all clips are right.

        Raises:
            WorkError: naming the first film that is not.
        """
        if self.broken:
            film = self.broken[0]
            more = f" (and {format_count(len(self.broken) - 1, 'more film')})" if len(self.broken) > 1 else ""
            raise WorkError(
                f"{film.name} is not whole in {self.library.location}{more}; repair it with: "
                f"talkies ingest {film.source} --library {self.library.location}"
            )
        fps = self.library.profile.fps
        for found in self.fidelity:
            if found.frames_off or abs(found.lag_seconds or 0.0) > 1 / fps:
                at = found.request.window.start_frame / fps
                raise WorkError(
                    f"film {found.request.film_id} is not what its source shows at {at:.2f} s: its pictures are "
                    f"{found.frames_off or 0} frames off, its sound {1000 * (found.lag_seconds or 0):.0f} ms"
                )


def examine(
    library: str | Path,
    clip: ClipConfig | None = None,
    most_workers: int | None = None,
    step: Step | None = None,
    on_part: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Measure how clips are read; `on_part` is told what is being done.

    Raises:
        UsageError: if there must be no worker, or a step that takes no time.
        LibraryError, PlanError, ConfigError: as `open_for_training`.
        MediaError: if a film that seemed whole cannot be read.
    """
    clip = clip or ClipConfig()
    if most_workers is not None and most_workers < 1:
        raise UsageError(f"there must be at least one worker, got {most_workers}")
    opened, other_load = Library.open(library), os.getloadavg()[0]
    on_part("whether every film is whole")
    films = opened.usable_films()
    broken = tuple(film for film in films if not opened.is_complete(film.id))
    whole = [film.film_id for film in films if film not in broken]
    if not whole:
        raise WorkError(
            f"no film of {library} is whole; ingest their sources again: talkies ingest {films[0].source} …"
        )
    source, plan = _drawn(library, clip, whole)
    requests = [request for number in range(_BATCHES) for request in plan.draw_batch(number)]
    on_part("clips beside their originals")
    originals = Originals(opened, source)
    fidelity = originals.fidelity(_spread(requests, _COMPARED))
    on_part("what a clip takes")
    parts_of_clip(opened, source, requests[: len(requests) // 2])  # what is read first comes from the disk
    parts = parts_of_clip(opened, source, requests)
    original = speed_of_originals(originals, requests, _SECONDS)
    source.close()
    speeds = []
    for workers in _counts(most_workers or count_cores()):
        on_part(format_count(workers, "worker"))
        speeds.append(speed_of_workers(source, plan, workers, _SECONDS))
    return Examination(
        opened,
        len(films),
        clip,
        count_cores(),
        tuple(speeds),
        parts,
        original,
        tuple(fidelity),
        broken,
        step,
        other_load,
    )


def _drawn(library: str | Path, clip: ClipConfig, films: list[str]) -> tuple[ClipSource, BatchPlan]:
    """Return clips of a library's films as training would draw them: as many of a film as its films can give."""
    for clips in _CLIPS:
        sampling = SamplingConfig(films_per_batch=2 // min(clips, 2), clips_per_film=clips, short_films="leave_out")
        with suppress(PlanError):
            drawn = open_for_training(library, clip, sampling, 0, films)
            return drawn.source, drawn.plan
    raise PlanError(f"no two clips of {clip.audio_seconds:g} s can be drawn from {library}; ingest longer films")


def _counts(most: int) -> list[int]:
    """Return the numbers of workers that are measured: powers of two, and the most."""
    return sorted({*(1 << n for n in range(most.bit_length()) if 1 << n <= most), most})


def _spread(requests: list[ClipRequest], most: int) -> list[ClipRequest]:
    return requests[:: max(1, len(requests) // most)][:most]


def _warnings(found: Examination) -> list[str]:
    warnings = []
    if found.step and found.starving_share:
        warnings.append(
            f"a step of {found.step.clips} clips in {found.step.seconds:g} s needs "
            f"{found.step.clips_per_second:.0f} clips/s and gets {found.best.clips_per_second:.0f} at best: "
            f"the device would wait {found.starving_share:.0%} of the time"
        )
    if found.best.workers > found.cores:
        warnings.append(
            f"{found.best.workers} workers on {format_count(found.cores, 'core')} take them from the training"
        )
    if found.other_load > found.cores / 2:
        warnings.append(f"other work kept {found.other_load:.1f} cores busy when this began: the figures are low")
    shared = Path(_SHARED)
    side = found.library.profile.short_side
    need = found.advised.workers * 3 * 32 * found.clip.frames * side * side * _PICTURE_BYTES
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < need:
        warnings.append(
            f"{_SHARED} has {free / 1e6:.0f} MB free and {format_count(found.advised.workers, 'worker')} may fill "
            f"{need / 1e6:.0f} MB: give the container more (docker run --shm-size)"
        )
    if not any(f.frames_off is not None for f in found.fidelity):
        warnings.append("no clip could be compared with its original: the sources are gone, or nothing in them moves")
    return warnings
