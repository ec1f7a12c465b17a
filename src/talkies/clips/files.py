"""Clips of a media file that is in no library: conformed to a profile in one pass, with bounded memory."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkies.clips.source import middle_square
from talkies.core import Clip, ClipRequest, ClipShape, FilmId, Span
from talkies.library import Profile
from talkies.media import Conformer, Picture


def clips_of_file(
    path: Path, film_id: FilmId, profile: Profile, shape: ClipShape, stride_frames: int
) -> Iterator[Clip]:
    """Yield every clip that fits into the file, one each `stride_frames` frames of the profile's grid, in order.

    Raises:
        MediaError: if the file cannot be read, or lacks video or audio.
    """
    tail = _Tail(profile.grid.samples_per_frame)
    start = 0
    for part in Conformer(path, profile.grid, profile.short_side):
        if isinstance(part, Picture):
            tail.pictures.append(middle_square(part.yuv_PW()[None], part.size[1])[0])
        else:
            tail.sounds.append(part.samples_S)
            tail.samples += len(part.samples_S)
        while tail.has(start + shape.window_frames):
            window = Span(start, start + shape.window_frames)
            yield tail.clip(ClipRequest(film_id, window), shape)
            start += stride_frames
            tail.forget(start)


class _Tail:
    """The newest pictures and sounds of a film: all that a clip still to come can need."""

    def __init__(self, samples_per_frame: int) -> None:
        self._samples_per_frame = samples_per_frame
        self._first = 0  # the frame that `pictures` and `sounds` begin with
        self.pictures: deque[npt.NDArray[np.uint8]] = deque()
        self.sounds: list[npt.NDArray[np.int16]] = []
        self.samples = 0  # in `sounds`

    def has(self, end_frame: int) -> bool:
        wanted = end_frame - self._first
        return len(self.pictures) >= wanted and self.samples >= wanted * self._samples_per_frame

    def clip(self, request: ClipRequest, shape: ClipShape) -> Clip:
        self.sounds = [np.concatenate(self.sounds)]
        pictures = [self.pictures[frame - self._first] for frame in shape.picture_of(request.window)]
        sound = shape.sound_of(request.window)
        begin, end = ((f - self._first) * self._samples_per_frame for f in (sound.start_frame, sound.end_frame))
        return Clip(request, np.stack(pictures), self.sounds[0][begin:end])

    def forget(self, before_frame: int) -> None:
        while self._first < before_frame and self.pictures:
            self.pictures.popleft()
            self._first += 1
            self.sounds = [np.concatenate(self.sounds)[self._samples_per_frame :]]
            self.samples = len(self.sounds[0])
