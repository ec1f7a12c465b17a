"""Labelled clips as an encoder is shown them: read whole, then cut into windows and crops; threads read ahead.

Shapes: `N` pictures, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `W` columns, `S` samples.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from talkies.clips import cores, read_by_workers
from talkies.core import Int16s, Int64s, MediaError, Modality, SourceError, UInt8s, describe_os_error
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.clip_spec import ClipSpec, picture_windows, sound_windows, square_crops, starts_of
from talkies.media import DecodedFile, decode_file
from talkies.runtime import hash_file

_MOST_READERS = 16
_WORTH_PROCESSES = 250  # clips that take several times as long to read as processes take to begin
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of each clip: so many windows in so many crops."""

    look: ClipSpec
    clips: int
    crops: int


@dataclass(frozen=True, slots=True)
class Windows:
    """What is shown of one clip: square pictures `[V, R, T, P, Z]`, sound `[V, S]`, or both of the same moments."""

    pictures: UInt8s | None
    sound: Int16s | None

    def of(self, tower: Modality) -> npt.NDArray[np.generic]:
        """Return the input of one tower, `[V, R, …]`; of sound there is one crop."""
        part = self.pictures if tower == "video" else self.sound
        if part is None:
            raise ValueError(f"nothing was read for the {tower} encoder")
        return part if tower == "video" else part[:, None]


def name_of_clip(data: DataSet, number: int) -> str:
    """Return what tells an example's clip by its bytes, and its span.

    Raises:
        SourceError: if the file cannot be read.
    """
    path, span = data.path_of(number), data.examples[number].span_seconds
    try:
        name = hash_file(path, 32)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({describe_os_error(error)}); see to its permissions") from error
    return name if span is None else f"{name}-{span[0]:g}-{span[1]:g}"


def read_clip(data: DataSet, number: int, towers: Sequence[Modality], look: ClipSpec) -> DecodedFile:
    """Return an example's pictures, sound or both.

    Raises:
        MediaError: if it cannot be read, or lacks what is asked for.
    """
    path = data.path_of(number)
    parts = "both" if len(towers) == 2 else towers[0]
    media = decode_file(path, parts, look.grid, look.short_side, data.examples[number].span_seconds)
    if media.audio_S is not None and not len(media.audio_S):
        raise MediaError("no_audio", f"{path.name} has no sound")
    return media


def windows_of(media: DecodedFile, view: View) -> Windows:
    """Return what is shown of a clip: of pictures and sound together the same moments."""
    look, pictures, sound = view.look, media.video_NPW, media.audio_S
    step = look.grid.samples_per_frame
    if pictures is not None and sound is not None:  # both of the same moments, each in the middle of the window
        window = max(look.frames, -(-look.samples // step))
        starts_V = starts_of(len(pictures), window, view.clips)
        at_picture, at_sound = (
            starts_V + (window - look.frames) // 2,
            starts_V * step + (window * step - look.samples) // 2,
        )
        return Windows(_shown(pictures, at_picture, view), sound_windows(sound, at_sound, look.samples))
    if pictures is not None:
        return Windows(_shown(pictures, starts_of(len(pictures), look.frames, view.clips), view), None)
    if sound is None:
        raise ValueError("neither pictures nor sound were read")
    return Windows(None, sound_windows(sound, starts_of(len(sound), look.samples, view.clips), look.samples))


def _shown(video_NPW: UInt8s, starts_V: Int64s, view: View) -> UInt8s:
    return square_crops(picture_windows(video_NPW, starts_V, view.look.frames), view.crops)


@dataclass(frozen=True, slots=True)
class Read:
    """What tells a clip by its bytes, and what is shown of it (nothing if it was known), or why it cannot be used."""

    name: str
    windows: Windows | None = None
    fault: str | None = None


class Reading(Dataset[Read]):
    """The clips `numbers` of a data set as an encoder is shown them; of those in `known` only the name is read."""

    def __init__(
        self, data: DataSet, numbers: Sequence[int], towers: Sequence[Modality], view: View, known: frozenset[str]
    ) -> None:
        self._data, self._numbers, self._towers, self._view, self._known = data, numbers, towers, view, known

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Read:
        number = self._numbers[place]
        name = name_of_clip(self._data, number)
        if name in self._known:
            return Read(name)
        try:
            return Read(name, windows_of(read_clip(self._data, number, self._towers, self._view.look), self._view))
        except MediaError as error:
            return Read(name, fault=str(error))

    def in_order(self) -> Iterator[Read]:
        """Yield each clip: processes read many ahead of the encoder, threads a few, for they begin at once.

        Raises:
            SourceError: if the system does not let a file be read.
            WorkError: if a process that reads dies.
        """
        if len(self) >= _WORTH_PROCESSES:
            yield from read_by_workers(self, min(_MOST_READERS, cores()))
        else:
            yield from (read for _, read in in_threads(self.__getitem__, range(len(self))))


def in_threads(read: Callable[[int], _Read], numbers: Iterable[int]) -> Iterator[tuple[int, _Read]]:
    """Yield each example with what was read of it, in order; threads read some ahead of the encoder."""
    threads = min(_MOST_READERS, cores())
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[int, Future[_Read]]] = deque()
        try:
            for number in numbers:
                waiting.append((number, pool.submit(read, number)))
                if len(waiting) > 2 * threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
