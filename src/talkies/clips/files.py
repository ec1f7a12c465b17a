"""Clips of a media file that is in no library: conformed to a profile in one pass, with bounded memory."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from talkies.core import Clip, ClipRequest, ClipShape, FilmId, Int16s, Span, UInt8s, crop_middle_square
from talkies.library import Profile
from talkies.media import FilmResampler, ResampledFrame, probe


def clips_of_file(
    path: Path, film_id: FilmId, profile: Profile, shape: ClipShape, stride_frames: int
) -> Iterator[Clip]:
    """Yield every clip that fits into the file, one each `stride_frames` frames of the profile's grid, in order.

    Raises:
        MediaError: if the file cannot be read, or lacks video or audio.
    """
    tail = _Tail(profile.grid.samples_per_frame)
    start = 0
    for part in FilmResampler(path, probe(path), profile.grid, profile.short_side):
        if isinstance(part, ResampledFrame):
            tail.add_picture(crop_middle_square(part.to_yuv()))
        else:
            tail.add_sound(part.samples_S)
        while tail.has(start + shape.window_frames):
            window = Span(start, start + shape.window_frames)
            yield tail.clip(ClipRequest(film_id, window), shape)
            start += stride_frames
            tail.forget(start)


class _Tail:
    """The newest pictures and sounds of a film: all that a clip still to come can need."""

    def __init__(self, samples_per_frame: int) -> None:
        self._samples_per_frame = samples_per_frame
        self._wanted_frame = 0  # nothing before it is kept
        self._pictures: deque[UInt8s] = deque()
        self._picture_frame = 0  # the frame of the first picture kept
        self._sound_S = np.zeros(0, np.int16)
        self._sound_sample = 0  # the number of the first sample kept

    def add_picture(self, picture_PW: UInt8s) -> None:
        self._pictures.append(picture_PW)
        self._trim()

    def add_sound(self, samples_S: Int16s) -> None:
        self._sound_S = np.concatenate([self._sound_S, samples_S])
        self._trim()

    def has(self, end_frame: int) -> bool:
        pictures_end = self._picture_frame + len(self._pictures)
        sound_end = self._sound_sample + len(self._sound_S)
        return pictures_end >= end_frame and sound_end >= end_frame * self._samples_per_frame

    def clip(self, request: ClipRequest, shape: ClipShape) -> Clip:
        pictures = [self._pictures[frame - self._picture_frame] for frame in shape.select_video_frames(request.window)]
        sound = shape.select_audio_span(request.window)
        bounds = (
            frame * self._samples_per_frame - self._sound_sample for frame in (sound.start_frame, sound.end_frame)
        )
        return Clip(request, np.stack(pictures), self._sound_S[slice(*bounds)].copy())

    def forget(self, before_frame: int) -> None:
        """Drop what comes before a frame, now and when it comes later."""
        self._wanted_frame = before_frame
        self._trim()

    def _trim(self) -> None:
        while self._pictures and self._picture_frame < self._wanted_frame:
            self._pictures.popleft()
            self._picture_frame += 1
        surplus = min(len(self._sound_S), self._wanted_frame * self._samples_per_frame - self._sound_sample)
        if surplus > 0:
            self._sound_S = self._sound_S[surplus:]
            self._sound_sample += surplus
