"""The features of a data set's clips: read beside the encoder, encoded once, kept by the bytes of each file.

Shapes: `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `E` features.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkies.core import MediaError, SourceError, UsageError, cause_of, hash_of_file
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.features import Features
from talkies.evaluation.look import Look, Pictures, Samples, picture_windows, sound_windows, square_crops, starts_of
from talkies.evaluation.protocol import Protocol
from talkies.evaluation.store import FeatureStore
from talkies.media import read_short
from talkies.models import Tower

OnClip = Callable[[str, int], None]
Read = tuple[str, "Windows | None", str | None]
_ENCODED_AT_ONCE = 64
_MOST_THREADS = 16
_VERSION = 1  # of how clips are read and shown


@dataclass(frozen=True, slots=True)
class Windows:
    """What is shown of one clip: square pictures `[V, R, T, P, Z]`, sound `[V, S]`, or both of the same moments."""

    pictures: Pictures | None
    sound: Samples | None


@dataclass(slots=True)
class Extracted:
    """Features of each tower by example, `[V, E]`; `unfit` says of those that have none why, `hashes` tells files."""

    rows: dict[int, dict[Tower, Tensor]] = field(default_factory=dict)
    unfit: dict[int, str] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)


def towers_of(data: DataSet) -> tuple[Tower, ...]:
    """Return the towers that a data set speaks to."""
    return ("video", "audio") if data.modality == "both" else (data.modality,)


def windows_of(path: Path, span: tuple[float, float] | None, towers: Sequence[Tower], view: "View") -> Windows:
    """Return what is shown of a file.

    Raises:
        MediaError: if it cannot be read, or lacks what is asked for.
    """
    look, both = view.look, len(towers) == 2
    media = read_short(path, "both" if both else towers[0], look.grid, look.short_side, span)
    pictures, sound = media.video_NPW, media.audio_S
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
    if sound is None or not len(sound):
        raise MediaError("no_audio", f"{path.name} has no sound")
    return Windows(None, sound_windows(sound, starts_of(len(sound), look.samples, view.clips), look.samples))


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of each clip: so many windows in so many crops."""

    look: Look
    clips: int
    crops: int


def extract(
    data: DataSet, features: Features, protocol: Protocol, store_root: Path | None, on_clip: OnClip | None = None
) -> Extracted:
    """Return the features of all examples that are there; crops of one window are averaged.

    `store_root` is where features are kept; without it they are computed.
    """
    towers, view = towers_of(data), View(features.look, protocol.clips, protocol.crops)
    if lacking := set(towers) - features.towers:
        raise UsageError(f"{data.name} is of {data.modality}, and {features.name} has no {lacking.pop()} encoder")
    store = FeatureStore(store_root, _key(features, view, towers)) if store_root else None
    found = Extracted()
    numbers = [number for number in range(len(data.examples)) if number not in data.absent]
    read = partial(_read, data, towers, view, store)
    encoding = _Encoding(features, towers, store, found)
    for number, (name, windows, fault) in _ahead(read, numbers):
        found.hashes[number] = name
        if fault:
            found.unfit[number] = fault
        elif windows is None and store is not None:
            found.rows[number] = {tower: store.get(f"{name}-{tower}") for tower in towers}
        elif windows is not None:
            encoding.add(number, name, windows)
        if on_clip:
            on_clip(data.examples[number].path, len(numbers))
    encoding.flush()
    if store:
        store.flush()
    return found


class _Encoding:
    """Encodes the windows of several clips at once."""

    def __init__(
        self, features: Features, towers: Sequence[Tower], store: FeatureStore | None, found: Extracted
    ) -> None:
        self._features, self._towers, self._store, self._found = features, towers, store, found
        self._waiting: list[tuple[int, str, Windows]] = []
        self._shown = 0

    def add(self, number: int, name: str, windows: Windows) -> None:
        """Take a clip; it is encoded when there are enough for a batch."""
        self._waiting.append((number, name, windows))
        self._shown += max(len(_input(tower, windows)) * _input(tower, windows).shape[1] for tower in self._towers)
        if self._shown >= _ENCODED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        for tower in self._towers if self._waiting else ():
            inputs = [_input(tower, windows) for _, _, windows in self._waiting]
            encode = self._features.video if tower == "video" else self._features.audio
            joined = torch.from_numpy(np.concatenate([part.reshape(-1, *part.shape[2:]) for part in inputs]))
            rows_XE = torch.cat([encode(part) for part in torch.split(joined, _ENCODED_AT_ONCE)])
            shares = torch.split(rows_XE, [part.shape[0] * part.shape[1] for part in inputs])
            for (number, name, _), part, share_XE in zip(self._waiting, inputs, shares, strict=True):
                row_VE = share_XE.view(*part.shape[:2], -1).mean(1)  # over crops
                self._found.rows.setdefault(number, {})[tower] = row_VE
                if self._store:
                    self._store.put(f"{name}-{tower}", row_VE)
        self._waiting, self._shown = [], 0


def _read(data: DataSet, towers: Sequence[Tower], view: View, store: FeatureStore | None, number: int) -> Read:
    """Return what tells an example's clip, and what is shown of it, or nothing if it is known, or what is wrong."""
    path, span = data.path_of(number), data.examples[number].span_seconds
    try:
        name = hash_of_file(path, 32)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({cause_of(error)}); see to its permissions") from error
    told = name if span is None else f"{name}-{span[0]:g}-{span[1]:g}"
    if store and all(f"{told}-{tower}" in store for tower in towers):
        return told, None, None
    try:
        return told, windows_of(path, span, towers, view), None
    except MediaError as error:
        return told, None, str(error)


def _shown(video_NPW: Pictures, starts_V: npt.NDArray[np.int64], view: View) -> Pictures:
    return square_crops(picture_windows(video_NPW, starts_V, view.look.frames), view.crops)


def _input(tower: Tower, windows: Windows) -> npt.NDArray[np.generic]:
    """Return a clip's input to one tower, `[V, R, …]`; of sound there is one crop."""
    part = windows.pictures if tower == "video" else windows.sound
    if part is None:
        raise ValueError(f"nothing was read for the {tower} encoder")
    return part if tower == "video" else part[:, None]


def _key(features: Features, view: View, towers: Sequence[Tower]) -> str:
    told = f"{features.stamp} {view} {sorted(towers)} {_VERSION}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _ahead(read: Callable[[int], Read], numbers: Iterable[int]) -> Iterator[tuple[int, Read]]:
    """Yield each example with what was read of it, in order; threads read some ahead of the encoder."""
    threads = min(_MOST_THREADS, cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[int, Future[Read]]] = deque()
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
