"""Clips of a media file that is in no library: resampled to a profile in one pass, in bounded memory."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from talkies.clips.film_pass import BATCH_CLIPS, BATCHES_AHEAD
from talkies.clips.source import collate
from talkies.core import Clip, ClipBatch, ClipRequest, ClipShape, FilmId, Int16s, Span, UInt8s, crop_middle_square
from talkies.library import Profile
from talkies.media import FilmResampler, ResampledFrame, probe
from talkies.runtime import prefetch


def read_file_clips(
    path: Path, film_id: FilmId, profile: Profile, shape: ClipShape, stride_frames: int
) -> Iterator[Clip]:
    """Yield every clip that fits into the file, one every `stride_frames` frames of the profile's grid, in order.

    Args:
        path: The media file.
        film_id: The film that the clips' requests name.
        profile: The grid and the size that the file is resampled to.
        shape: What a clip is made of.
        stride_frames: The distance between the starts of two clips.

    Raises:
        MediaError: if the file cannot be read, or lacks video or audio.
    """
    buffer = _FilmBuffer(profile.grid.samples_per_frame)
    start = 0
    for part in FilmResampler(path, probe(path), profile.grid, profile.short_side):
        if isinstance(part, ResampledFrame):
            buffer.add_picture(crop_middle_square(part.to_yuv()))
        else:
            buffer.add_audio(part.samples_S)
        while buffer.reaches(start + shape.window_frames):
            window = Span(start, start + shape.window_frames)
            yield buffer.copy_clip(ClipRequest(film_id, window), shape)
            start += stride_frames
            buffer.drop_before(start)


def collate_in_batches(clips: Iterator[Clip], most: int = BATCH_CLIPS) -> Iterator[ClipBatch]:
    """Yield clips in batches of at most `most`; a thread reads a few batches ahead."""

    def collate_clips() -> Iterator[ClipBatch]:
        while batch := list(islice(clips, most)):
            yield collate(batch)

    with prefetch(collate_clips(), BATCHES_AHEAD) as batches:
        yield from batches


class _FilmBuffer:
    """The newest pictures and samples of a film: all that the clips still to come can need."""

    def __init__(self, samples_per_frame: int) -> None:
        self._samples_per_frame = samples_per_frame
        self._first_wanted_frame = 0  # nothing before it is kept
        self._pictures: deque[UInt8s] = deque()
        self._first_picture = 0  # the frame of the first picture kept
        self._audio_S = np.zeros(0, np.int16)
        self._first_sample = 0  # the number of the first sample kept

    def add_picture(self, picture_PW: UInt8s) -> None:
        self._pictures.append(picture_PW)
        self._trim()

    def add_audio(self, samples_S: Int16s) -> None:
        self._audio_S = np.concatenate([self._audio_S, samples_S])
        self._trim()

    def reaches(self, end_frame: int) -> bool:
        """Return whether pictures and audio up to `end_frame` have come."""
        pictures_end = self._first_picture + len(self._pictures)
        audio_end = self._first_sample + len(self._audio_S)
        return pictures_end >= end_frame and audio_end >= end_frame * self._samples_per_frame

    def copy_clip(self, request: ClipRequest, shape: ClipShape) -> Clip:
        pictures = [self._pictures[frame - self._first_picture] for frame in shape.select_video_frames(request.window)]
        audio = shape.select_audio_span(request.window)
        first = audio.start_frame * self._samples_per_frame - self._first_sample
        end = audio.end_frame * self._samples_per_frame - self._first_sample
        return Clip(request, np.stack(pictures), self._audio_S[first:end].copy())

    def drop_before(self, frame: int) -> None:
        """Drop what comes before a frame, both what is here and what is still to come."""
        self._first_wanted_frame = frame
        self._trim()

    def _trim(self) -> None:
        while self._pictures and self._first_picture < self._first_wanted_frame:
            self._pictures.popleft()
            self._first_picture += 1
        surplus = min(len(self._audio_S), self._first_wanted_frame * self._samples_per_frame - self._first_sample)
        if surplus > 0:
            self._audio_S = self._audio_S[surplus:]
            self._first_sample += surplus
