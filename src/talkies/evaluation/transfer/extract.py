"""The features of a data set's clips: read beside the encoder, encoded once, kept by the bytes of each file.

Shapes: `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `E` features.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from talkies.core import Modality
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.feature_cache import FeatureStore
from talkies.evaluation.transfer.features import Features
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.reading import Read, Reading, View, Windows

OnClip = Callable[[str, int], None]
_ENCODED_AT_ONCE = 64
_VERSION = 1  # of how clips are read and shown


@dataclass(slots=True)
class Extracted:
    """Features of each tower by example, `[V, E]`; `unfit` says of those that have none why, `hashes` tells files."""

    rows: dict[int, dict[Modality, Tensor]] = field(default_factory=dict)
    unfit: dict[int, str] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)


def towers_of(data: DataSet) -> tuple[Modality, ...]:
    """Return the towers that a data set speaks to."""
    return ("video", "audio") if data.modality == "both" else (data.modality,)


def extract(
    data: DataSet, features: Features, protocol: Protocol, store_root: Path | None, on_clip: OnClip | None = None
) -> Extracted:
    """Return the features of all examples that are there; crops of one window are averaged.

    `store_root` is where features are kept; without it they are computed.

    Raises:
        UsageError: if no encoder speaks to the data.
        SourceError: if the system does not let a file be read.
    """
    return extract_all(data, [features], protocol, store_root, on_clip)[0]


def extract_all(
    data: DataSet,
    arms: Sequence[Features],
    protocol: Protocol,
    store_root: Path | None,
    on_clip: OnClip | None = None,
) -> list[Extracted]:
    """Return what `extract` does, for several features at once: what is shown alike is read once for all.

    Raises:
        UsageError: as `extract`.
        SourceError: as `extract`.
    """
    towers = towers_of(data)
    encodings = [_Encoding(features, towers, protocol, store_root) for features in arms]
    for look in dict.fromkeys(features.look for features in arms):
        alike = [encoding for encoding in encodings if encoding.view.look == look]
        _pass_over(data, alike, on_clip)
    return [encoding.found for encoding in encodings]


def _pass_over(data: DataSet, encodings: Sequence["_Encoding"], on_clip: OnClip | None) -> None:
    numbers = [number for number in range(len(data.examples)) if number not in data.absent]
    known = frozenset.intersection(*(encoding.known for encoding in encodings))
    reading = Reading(data, numbers, encodings[0].towers, encodings[0].view, known)
    for number, read in zip(numbers, reading.in_order(), strict=True):
        for encoding in encodings:
            encoding.take(number, read)
        if on_clip:
            on_clip(data.examples[number].path, len(numbers))
    for encoding in encodings:
        encoding.finish()


class _Encoding:
    """Encodes the windows of several clips at once with one kind of features."""

    def __init__(
        self, features: Features, towers: Sequence[Modality], protocol: Protocol, store_root: Path | None
    ) -> None:
        features.check(towers)
        self.towers, self.view = towers, View(features.look, protocol.clips, protocol.crops)
        self.found = Extracted()
        self._features = features
        self._store = FeatureStore(store_root, _key(features, self.view, towers)) if store_root else None
        self._waiting: list[tuple[int, str, Windows]] = []
        self._shown = 0

    @property
    def known(self) -> frozenset[str]:
        """The names of the clips whose features were kept before."""
        if self._store is None:
            return frozenset()
        kept = self._store.clips
        return frozenset.intersection(
            *(
                frozenset(clip.removesuffix(f"-{tower}") for clip in kept if clip.endswith(f"-{tower}"))
                for tower in self.towers
            )
        )

    def _knows(self, name: str) -> bool:
        return self._store is not None and all(f"{name}-{tower}" in self._store for tower in self.towers)

    def take(self, number: int, read: Read) -> None:
        """Take a clip, or why it cannot be used; it is encoded when there are enough for a batch."""
        name, windows = read.name, read.windows
        self.found.hashes[number] = name
        if read.fault:
            self.found.unfit[number] = read.fault
        elif self._store is not None and self._knows(name):
            self.found.rows[number] = {tower: self._store.get(f"{name}-{tower}") for tower in self.towers}
        elif windows is not None:
            self._waiting.append((number, name, windows))
            self._shown += max(len(windows.of(tower)) * windows.of(tower).shape[1] for tower in self.towers)
            if self._shown >= _ENCODED_AT_ONCE:
                self._encode()

    def finish(self) -> None:
        """Encode what waits, and keep what is new."""
        self._encode()
        if self._store:
            self._store.flush()

    def _encode(self) -> None:
        for tower in self.towers if self._waiting else ():
            inputs = [windows.of(tower) for _, _, windows in self._waiting]
            encode = self._features.video if tower == "video" else self._features.audio
            joined = torch.from_numpy(np.concatenate([part.reshape(-1, *part.shape[2:]) for part in inputs]))
            rows_XE = torch.cat([encode(part) for part in torch.split(joined, _ENCODED_AT_ONCE)])
            shares = torch.split(rows_XE, [part.shape[0] * part.shape[1] for part in inputs])
            for (number, name, _), part, share_XE in zip(self._waiting, inputs, shares, strict=True):
                row_VE = share_XE.view(*part.shape[:2], -1).mean(1)  # over crops
                self.found.rows.setdefault(number, {})[tower] = row_VE
                if self._store:
                    self._store.put(f"{name}-{tower}", row_VE)
        self._waiting, self._shown = [], 0


def _key(features: Features, view: View, towers: Sequence[Modality]) -> str:
    tools = [version(tool) for tool in ("av", "torch")]
    told = f"{features.stamp} {view} {sorted(towers)} {tools} {_VERSION}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
