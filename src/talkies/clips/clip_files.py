"""Read short files ahead of an encoder: decode each completely, then cut it into windows and crops.

Processes that read import this module and what it imports, each time one starts: nothing here may import more than
`talkies.clips` does.

Shapes: `N` video frames, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `W` columns, `Z` side of a
square, `S` samples.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset, Subset

from talkies.clips.clip_spec import ClipSpec, cut_square_crops, spread_window_starts
from talkies.clips.file_windows import cut_audio_windows, cut_video_windows
from talkies.clips.workers import prepare_workers, read_by_workers
from talkies.core import Int16s, Int64s, MediaError, Modality, SourceError, UInt8s, describe_os_error
from talkies.media import DecodedFile, decode_file
from talkies.runtime import count_cores, hash_file

_MAX_READERS = 16
_MIN_CLIPS_FOR_PROCESSES = 250
"""Reading this many clips takes several times as long as starting the processes that read them."""
_CLIPS_BEFORE_PROCESSES = 32

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ViewSampling:
    """Which views of a clip an encoder gets: `windows` spread over the clip, each in `crops` square crops."""

    clip_spec: ClipSpec
    windows: int
    crops: int


@dataclass(frozen=True, slots=True)
class ClipWindows:
    """The windows of one clip: square video `[V, R, T, P, Z]`, audio `[V, S]`, or both of the same moments."""

    video: UInt8s | None
    audio: Int16s | None

    def get_input(self, modality: Modality) -> npt.NDArray[np.generic]:
        """Return the input of one encoder, `[V, R, …]`; audio has a single crop."""
        windows = self.video if modality == "video" else self.audio
        if windows is None:
            raise ValueError(f"nothing was read for the {modality} encoder")
        return windows if modality == "video" else windows[:, None]


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A clip: a file, or the part of it from one time to another, in seconds; half-open."""

    path: Path
    span_seconds: tuple[float, float] | None = None


def compute_clip_key(clip: ClipFile) -> str:
    """Return what identifies a clip: a hash of its file's bytes, and its span.

    Raises:
        SourceError: if the file cannot be read.
    """
    path, span = clip.path, clip.span_seconds
    try:
        digits = hash_file(path, 32)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({describe_os_error(error)}); check its permissions") from error
    return digits if span is None else f"{digits}-{span[0]:g}-{span[1]:g}"


def read_clip(clip: ClipFile, modalities: Sequence[Modality], clip_spec: ClipSpec) -> DecodedFile:
    """Return the decoded video, audio or both of a clip.

    Args:
        clip: the clip.
        modalities: what to decode, one or both.
        clip_spec: gives frame rate, audio rate and shorter side.

    Raises:
        MediaError: if the file cannot be read, or lacks a modality.
    """
    choice = "both" if len(modalities) == 2 else modalities[0]
    media = decode_file(clip.path, choice, clip_spec.grid, clip_spec.short_side, clip.span_seconds)
    if media.audio_S is not None and not len(media.audio_S):
        raise MediaError("no_audio", f"{clip.path.name} has no sound")
    return media


def cut_windows(media: DecodedFile, sampling: ViewSampling) -> ClipWindows:
    """Return the windows of a decoded clip; where it has video and audio, both are of the same moments."""
    spec, video, audio = sampling.clip_spec, media.video_NPW, media.audio_S
    if video is not None and audio is not None:
        return _cut_joint_windows(video, audio, sampling)
    if video is not None:
        starts_V = spread_window_starts(len(video), spec.frames, sampling.windows)
        return ClipWindows(_cut_video_views(video, starts_V, sampling), None)
    if audio is not None:
        starts_V = spread_window_starts(len(audio), spec.samples, sampling.windows)
        return ClipWindows(None, cut_audio_windows(audio, starts_V, spec.samples))
    raise ValueError("neither video nor audio was read")


def _cut_joint_windows(video_NPW: UInt8s, audio_S: Int16s, sampling: ViewSampling) -> ClipWindows:
    """Return windows as long as the longer modality, with the shorter in the middle of each."""
    spec = sampling.clip_spec
    step = spec.grid.samples_per_frame
    window = max(spec.frames, -(-spec.samples // step))  # in frames
    starts_V = spread_window_starts(len(video_NPW), window, sampling.windows)

    first_frame_V = starts_V + (window - spec.frames) // 2
    first_sample_V = starts_V * step + (window * step - spec.samples) // 2
    return ClipWindows(
        _cut_video_views(video_NPW, first_frame_V, sampling), cut_audio_windows(audio_S, first_sample_V, spec.samples)
    )


def _cut_video_views(video_NPW: UInt8s, starts_V: Int64s, sampling: ViewSampling) -> UInt8s:
    windows_VTPW = cut_video_windows(video_NPW, starts_V, sampling.clip_spec.frames)
    return cut_square_crops(windows_VTPW, sampling.crops)


@dataclass(frozen=True, slots=True)
class ClipReading:
    """The result of reading a clip: its key, and its windows (none if its features are cached) or the error."""

    key: str
    windows: ClipWindows | None = None
    error: str | None = None


class ClipFiles(Dataset[ClipReading]):
    """Clips, cut into windows; of those whose key is in `cached`, only the key is read."""

    def __init__(
        self, clips: Sequence[ClipFile], modalities: Sequence[Modality], sampling: ViewSampling, cached: frozenset[str]
    ) -> None:
        self._clips, self._modalities, self._sampling, self._cached = clips, modalities, sampling, cached

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> ClipReading:
        clip = self._clips[index]
        key = compute_clip_key(clip)
        if key in self._cached:
            return ClipReading(key)
        try:
            media = read_clip(clip, self._modalities, self._sampling.clip_spec)
            return ClipReading(key, cut_windows(media, self._sampling))
        except MediaError as error:
            return ClipReading(key, error=str(error))

    def read_in_order(self) -> Iterator[ClipReading]:
        """Yield each clip in order, read ahead by processes if there are many clips, or by threads.

        Threads read the first clips of many too, while the processes import what they need.

        Raises:
            SourceError: if the system refuses to read a file.
            WorkError: if a reading process dies.
        """
        uses_processes = len(self) >= _MIN_CLIPS_FOR_PROCESSES
        if uses_processes:
            prepare_workers()
        by_threads = min(_CLIPS_BEFORE_PROCESSES, len(self)) if uses_processes else len(self)
        yield from (reading for _, reading in map_in_threads(self.__getitem__, range(by_threads)))
        if uses_processes:
            others = Subset(self, range(by_threads, len(self)))
            yield from read_by_workers(others, min(_MAX_READERS, count_cores()))


def map_in_threads(function: Callable[[int], _Result], numbers: Iterable[int]) -> Iterator[tuple[int, _Result]]:
    """Yield each number with the function's result, in order; threads work a bounded number of items ahead."""
    threads = min(_MAX_READERS, count_cores())
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[int, Future[_Result]]] = deque()
        try:
            for number in numbers:
                pending.append((number, pool.submit(function, number)))
                if len(pending) > 2 * threads:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()
