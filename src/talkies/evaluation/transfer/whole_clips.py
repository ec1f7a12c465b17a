"""The clips of a data set as they were decoded, kept in memory as far as there is room.

Shapes: `N` pictures, `V` windows, `R` crops, `P` rows of planar YUV 4:2:0, `W` columns, `S` samples.
"""

import numpy as np
import numpy.typing as npt

from talkies.core import MediaError, Modality
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.extract import Extracted, OnClip
from talkies.evaluation.transfer.reading import View, in_threads, name_of_clip, read_clip, windows_of
from talkies.media import DecodedFile


class WholeClips:
    """Clips of pictures or of sound; those beyond `memory_bytes` are decoded again at each asking."""

    def __init__(self, data: DataSet, tower: Modality, view: View, memory_bytes: int) -> None:
        self._data, self._tower, self._view, self._room = data, tower, view, memory_bytes
        self._kept: dict[int, DecodedFile] = {}

    def read_all(self, on_clip: OnClip | None = None) -> Extracted:
        """Read every clip that is there once; return what tells each by its bytes, and which cannot be used and why."""
        found = Extracted()
        numbers = [number for number in range(len(self._data.examples)) if number not in self._data.absent]
        for number, (name, media, fault) in in_threads(self._tried, numbers):
            found.hashes[number] = name
            if media is None:
                found.unfit[number] = fault
            else:
                found.rows[number] = {}
                self._keep(number, media)
            if on_clip:
                on_clip(self._data.examples[number].path, len(numbers))
        return found

    def windows(self, number: int) -> npt.NDArray[np.generic]:
        """Return the windows `[V, R, …]` that a clip is tested on."""
        return windows_of(self.media(number), self._view).of(self._tower)

    def media(self, number: int) -> DecodedFile:
        """Return a clip whole."""
        if number in self._kept:
            return self._kept[number]
        return read_clip(self._data, number, (self._tower,), self._view.look)

    def _tried(self, number: int) -> tuple[str, DecodedFile | None, str]:
        name = name_of_clip(self._data, number)
        try:
            return name, read_clip(self._data, number, (self._tower,), self._view.look), ""
        except MediaError as error:
            return name, None, str(error)

    def _keep(self, number: int, media: DecodedFile) -> None:
        size = sum(part.nbytes for part in (media.video_NPW, media.audio_S) if part is not None)
        if size <= self._room:
            self._room -= size
            self._kept[number] = media
