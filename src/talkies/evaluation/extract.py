"""The features of a data set's clips: read beside the encoder, encoded once, kept by the bytes of each file.

Shapes: `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `E` features.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from talkies.core import MediaError, UsageError
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.features import Features
from talkies.evaluation.protocol import Protocol
from talkies.evaluation.reading import View, Windows, in_threads, name_of_clip, read_clip, windows_of
from talkies.evaluation.store import FeatureStore
from talkies.models import Tower

OnClip = Callable[[str, int], None]
Read = tuple[str, Windows | None, str | None]
_ENCODED_AT_ONCE = 64
_VERSION = 1  # of how clips are read and shown


@dataclass(slots=True)
class Extracted:
    """Features of each tower by example, `[V, E]`; `unfit` says of those that have none why, `hashes` tells files."""

    rows: dict[int, dict[Tower, Tensor]] = field(default_factory=dict)
    unfit: dict[int, str] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)


def towers_of(data: DataSet) -> tuple[Tower, ...]:
    """Return the towers that a data set speaks to."""
    return ("video", "audio") if data.modality == "both" else (data.modality,)


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
    for number, (name, windows, fault) in in_threads(read, numbers):
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
        self._shown += max(len(windows.of(tower)) * windows.of(tower).shape[1] for tower in self._towers)
        if self._shown >= _ENCODED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        for tower in self._towers if self._waiting else ():
            inputs = [windows.of(tower) for _, _, windows in self._waiting]
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
    name = name_of_clip(data, number)
    if store and all(f"{name}-{tower}" in store for tower in towers):
        return name, None, None
    try:
        return name, windows_of(read_clip(data, number, towers, view.look), view), None
    except MediaError as error:
        return name, None, str(error)


def _key(features: Features, view: View, towers: Sequence[Tower]) -> str:
    told = f"{features.stamp} {view} {sorted(towers)} {_VERSION}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
