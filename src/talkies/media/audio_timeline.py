"""Decoded sound on the library's grid of samples: mono, by its timestamps, gaps filled with silence, overlaps cut."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from talkies.core import Grid, Int16s

GAP_SECONDS, UNEVEN_GAP_SECONDS = 0.020, 0.060
"""Sound whose timestamp is off by less than this goes on where the last ended; more is a gap or an overlap. With frames
of uneven lengths (Vorbis) it may be more: files tell the end of a frame as its beginning."""
STRAY_SECONDS, LASTING_SECONDS = 0.004, 1.0
"""Timestamps of even frames that are off by more than the first, always to one side, for longer than the second are
believed as well: a little sound was lost, or the clock of the sound is not that of the pictures."""


class AudioTimeline:
    """Takes decoded frames of sound; gives int16 mono samples, each following the one before without a gap.

    Channels are mixed as ITU-R BS.775 says (centre 1, left and right √½, surrounds ½, no LFE), scaled so that nothing
    clips. Nothing is given before `origin`, the moment of sample 0 in seconds of the source, is known. Of a sound whose
    clock is broken only the first time is believed (`end_to_end`).
    """

    def __init__(self, grid: Grid, end_to_end: bool = False) -> None:
        self._end_to_end = end_to_end
        self._rate = grid.audio_rate_hz
        self._resampler = self._new_resampler()
        self._runs: deque[tuple[Fraction | None, Int16s]] = deque()  # a time where a run begins, none where it goes on
        self._begun: Fraction | None = None  # the time of a run of which nothing has come out of the resampler yet
        self._due: Fraction | None = None  # where the next frame of sound is expected
        self._strays = _Strays()
        self._form: tuple[str, str, int] | None = None  # a broadcast changes from stereo to 5.1 on the way
        self._given = 0
        self._to_drop = 0
        self.origin: Fraction | None = None
        self.start: Fraction | None = None
        self.gaps = 0
        self.heard = Fraction(0)  # how much sound was taken, whatever the times say

    @property
    def end(self) -> Fraction | None:
        """Where the sound taken so far ends, in seconds of the source."""
        return self._due

    def push(self, frame: av.AudioFrame) -> Iterator[Int16s]:
        """Take the next frame; yield what can be given."""
        if not _can_be_mixed(frame.layout.name):
            frame = _mixed_by_hand(frame)
        stamped = frame.pts is not None and frame.time_base is not None and not (self._end_to_end and self._due)
        begin = Fraction(frame.pts * frame.time_base) if stamped else (self._due or Fraction(0))  # type: ignore[operator]
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._due is None or form != self._form or self._strays.too_far(float(begin - self._due), frame):
            self._begin_run(begin, form)
        lasting = Fraction(frame.samples, frame.sample_rate)
        self._due = (self._due or begin) + lasting
        self.heard += lasting
        self._keep(self._resampler.resample(frame))
        yield from self._placed()

    def flush(self, samples: int) -> Iterator[Int16s]:
        """Yield what is left, with silence up to sample number `samples`."""
        self._keep(self._resampler.resample(None) if self._due is not None else [])
        yield from self._placed()
        if samples > self._given:
            yield from self._silence(samples - self._given)

    def _begin_run(self, begin: Fraction, form: tuple[str, str, int]) -> None:
        if self._due is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = self._new_resampler()
            self.gaps += float(begin - self._due) > GAP_SECONDS
        self._form, self._begun, self._due = form, begin, begin
        self.start = begin if self.start is None else min(self.start, begin)

    def _keep(self, parts: list[av.AudioFrame]) -> None:
        for part in parts:
            self._runs.append((self._begun, part.to_ndarray().reshape(-1).astype(np.int16, copy=False)))
            self._begun = None

    def _placed(self) -> Iterator[Int16s]:
        if self.origin is None:
            return
        while self._runs:
            begin, samples = self._runs.popleft()
            if begin is not None:
                position = round((begin - self.origin) * self._rate)
                if position > self._given:
                    yield from self._silence(position - self._given)
                self._to_drop = max(0, self._given - position)
            dropped = min(self._to_drop, len(samples))
            self._to_drop -= dropped
            if dropped < len(samples):
                self._given += len(samples) - dropped
                yield samples[dropped:]

    def _silence(self, count: int) -> Iterator[Int16s]:
        self._given += count
        for start in range(0, count, self._rate):  # a second at a time: a gap of hours must not fill the memory
            yield np.zeros(min(self._rate, count - start), np.int16)

    def _new_resampler(self) -> AudioResampler:
        return AudioResampler(format="s16", layout="mono", rate=self._rate)


@cache
def _can_be_mixed(layout: str) -> bool:
    """Return whether FFmpeg knows what the channels of a layout are."""
    frame = av.AudioFrame("s16", layout, 16)
    frame.sample_rate = 16_000
    try:
        AudioResampler(format="s16", layout="mono").resample(frame)
    except FFmpegError:
        return False
    return True


def _mixed_by_hand(frame: av.AudioFrame) -> av.AudioFrame:
    """Return as mono what FFmpeg cannot mix: of ambisonic sound its first channel, from all around; else the mean."""
    packed = AudioResampler(format=frame.format.packed.name).resample(frame)[0]
    samples_SC = packed.to_ndarray().reshape(packed.samples, -1)
    mono_S = samples_SC[:, 0] if frame.layout.name.startswith("ambisonic") else samples_SC.mean(axis=1)
    mono_1S: Any = np.ascontiguousarray(mono_S[None], samples_SC.dtype)
    mono = av.AudioFrame.from_ndarray(mono_1S, format=packed.format.name, layout="mono")
    mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mono


class _Strays:
    """Tells sound that is elsewhere than it was expected from timestamps that are told unevenly."""

    def __init__(self) -> None:
        self._samples: int | None = None
        self._uneven = False
        self._error = self._lasting = 0.0

    def too_far(self, error: float, frame: av.AudioFrame) -> bool:
        """Return whether a frame begins a new run, for its timestamp is `error` seconds later than was expected."""
        self._uneven |= self._samples is not None and frame.samples != self._samples
        self._samples = frame.samples
        stray = abs(error) > STRAY_SECONDS and not self._uneven
        if not stray or error * self._error < 0:
            self._lasting = 0.0
        self._error = error
        self._lasting += frame.samples / frame.sample_rate if stray else 0.0
        if self._lasting <= LASTING_SECONDS and abs(error) <= (UNEVEN_GAP_SECONDS if self._uneven else GAP_SECONDS):
            return False
        self._lasting = 0.0
        return True
