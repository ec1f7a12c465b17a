"""Features on disk: read by memory map, added to, never changed.

features/
  video-0123456789ab/                 all that these features depend on, as a hash: `space.json` names it
    space.json
    <film_id>-<digits>/               a film; the digits change when it is ingested again
      <name>.npy                      float32 [N, …]: features, exactly as the tower computed them
      <name>.keys.npy                 their keys; written last: without it the features count as missing

A part is written under a temporary name, flushed and renamed, and never touched again. So a process that is killed
loses the part that it was writing and nothing else, and several processes may add to one film: what two of them
computed at once is stored twice, and either copy is right.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from talkies.core import Float32s, WorkError, describe_os_error
from talkies.runtime import remove_abandoned, replace_atomically, write_atomically
from talkies.training.features.views import FeatureKey

_KEYS = np.dtype([("start_frame", "<i8"), ("place", "<f8"), ("view", "<i8")])
_KEYS_SUFFIX, _ROWS_SUFFIX = ".keys.npy", ".npy"
_MOST_OPEN = 128  # memory maps, each of which holds a file open


class _Place(NamedTuple):
    """Where features are: the part that holds them, and their row in it."""

    part: Path
    row: int


class FeatureStore:
    """The features of one tower: of many films, moments and views."""

    def __init__(self, folder: Path, space: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        """Open the store, or create it.

        Args:
            folder: its folder.
            space: all that the features depend on, for people to read.
            shape: the shape of one clip's features.

        Raises:
            WorkError: if the folder cannot be written.
        """
        self.folder, self.shape = folder, shape
        self._films: dict[str, dict[FeatureKey, _Place]] = {}
        self._open: OrderedDict[Path, Float32s] = OrderedDict()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "space.json").is_file():
                write_atomically(folder / "space.json", json.dumps(space, indent=1))
        except OSError as error:
            raise WorkError(self._describe(error)) from error

    @property
    def row_bytes(self) -> int:
        """The size of one clip's features."""
        return 4 * int(np.prod(self.shape))

    def refresh(self) -> None:
        """Forget what was there before: other processes may have added to it."""
        self._films = {}

    def has(self, film: str, key: FeatureKey) -> bool:
        """Return whether the features of a film's view are there."""
        return key in self._list(film)

    def read(self, wanted: Sequence[tuple[str, FeatureKey]]) -> Tensor:
        """Return features that are there, float32 `[B, …]`.

        Args:
            wanted: the film and the key of each clip.
        """
        rows = np.empty((len(wanted), *self.shape), np.float32)
        for number, (film, key) in enumerate(wanted):
            place = self._list(film)[key]
            rows[number] = self._map(place.part)[place.row]
        return torch.from_numpy(rows)

    def write(self, film: str, keys: Sequence[FeatureKey], rows: Float32s) -> None:
        """Add the features of a film's views.

        Raises:
            WorkError: if they cannot be written.
        """
        folder, name = self.folder / film, uuid4().hex[:12]
        try:
            folder.mkdir(exist_ok=True)
            remove_abandoned(folder)
            _save(folder / f"{name}{_ROWS_SUFFIX}", rows)
            _save(folder / f"{name}{_KEYS_SUFFIX}", np.array([tuple(key) for key in keys], _KEYS))
        except OSError as error:
            raise WorkError(self._describe(error)) from error
        part = folder / f"{name}{_ROWS_SUFFIX}"
        self._list(film).update({key: _Place(part, row) for row, key in enumerate(keys)})

    def _list(self, film: str) -> dict[FeatureKey, _Place]:
        """Return where all features of a film are; a part that is damaged counts as missing."""
        if film not in self._films:
            places: dict[FeatureKey, _Place] = {}
            for path in sorted((self.folder / film).glob(f"*{_KEYS_SUFFIX}")):
                part = path.with_name(path.name.removesuffix(_KEYS_SUFFIX) + _ROWS_SUFFIX)
                keys = _read_part(path, part, self.shape)
                places |= {FeatureKey(*key): _Place(part, row) for row, key in enumerate(keys)}
            self._films[film] = places
        return self._films[film]

    def _map(self, part: Path) -> Float32s:
        if part in self._open:
            self._open.move_to_end(part)
            return self._open[part]
        while len(self._open) >= _MOST_OPEN:
            self._open.popitem(last=False)
        try:
            self._open[part] = np.load(part, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise WorkError(
                f"{part} was there when training began and cannot be read now ({describe_os_error(error)}); continue "
                "with --resume, which computes it again"
            ) from error
        return self._open[part]

    def _describe(self, error: OSError) -> str:
        return (
            f"features cannot be kept in {self.folder} ({describe_os_error(error)}); make room or make it writable, or "
            "train with adaptation.cache=false"
        )


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _read_part(keys: Path, rows: Path, shape: tuple[int, ...]) -> list[tuple[int, float, int]]:
    """Return the keys of a part; none if it is damaged, so that its features are computed again."""
    try:
        found = np.load(keys, allow_pickle=False)
        features = np.load(rows, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return []
    if found.dtype != _KEYS or features.dtype != np.float32 or features.shape != (len(found), *shape):
        return []
    listed: list[tuple[int, float, int]] = found.tolist()
    return listed
