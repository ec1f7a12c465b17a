"""A cache in memory of decoded clips, for fine-tuning, which reads every clip in every epoch.

Shapes: `N` video frames, `V` windows, `R` crops, `P` rows of planar YUV 4:2:0, `W` columns, `S` samples.
"""

import numpy as np
import numpy.typing as npt

from talkies.clips.clip_files import ViewSampling, compute_clip_key, cut_windows, map_in_threads, read_clip
from talkies.core import MediaError, Modality
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.extract import ExtractedFeatures, OnClip
from talkies.media import DecodedFile


class DecodedClipCache:
    """The decoded video or audio of a data set's clips; those beyond `memory_bytes` are decoded again at each use."""

    def __init__(self, data: DataSet, modality: Modality, sampling: ViewSampling, memory_bytes: int) -> None:
        self._data, self._modality, self._sampling = data, modality, sampling
        self._free_bytes = memory_bytes
        self._clips: dict[int, DecodedFile] = {}

    def read_all(self, on_clip: OnClip | None = None) -> ExtractedFeatures:
        """Decode every clip whose file exists, and return their keys and which cannot be used; features stay empty."""
        extracted = ExtractedFeatures()
        numbers = self._data.present
        for number, (key, media, error) in map_in_threads(self._try_to_read, numbers):
            extracted.keys[number] = key
            if media is None:
                extracted.unusable[number] = error
            else:
                extracted.features[number] = {}
                self._keep_if_fits(number, media)
            if on_clip:
                on_clip(self._data.examples[number].path, len(numbers))
        return extracted

    def get_windows(self, number: int) -> npt.NDArray[np.generic]:
        """Return the windows `[V, R, …]` that a clip is tested on."""
        return cut_windows(self.get_clip(number), self._sampling).get_input(self._modality)

    def get_clip(self, number: int) -> DecodedFile:
        """Return a decoded clip."""
        if number in self._clips:
            return self._clips[number]
        return read_clip(self._data.get_clip(number), (self._modality,), self._sampling.clip_spec)

    def _try_to_read(self, number: int) -> tuple[str, DecodedFile | None, str]:
        """Return the key of a clip, the clip or None, and why there is none."""
        key = compute_clip_key(self._data.get_clip(number))
        try:
            return key, read_clip(self._data.get_clip(number), (self._modality,), self._sampling.clip_spec), ""
        except MediaError as error:
            return key, None, str(error)

    def _keep_if_fits(self, number: int, media: DecodedFile) -> None:
        size = sum(part.nbytes for part in (media.video_NPW, media.audio_S) if part is not None)
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._clips[number] = media
