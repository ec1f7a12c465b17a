"""Decoded audio on the library's sample grid: mono, placed by timestamp, gaps filled with silence, overlaps cut."""

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

GAP_SECONDS = 0.020
"""A frame whose timestamp is off by at most this continues the frame before; by more, there is a gap or an overlap."""
UNEVEN_GAP_SECONDS = 0.060
"""The same limit for frames of uneven length (Vorbis): some files store the end of a frame as its start."""
DRIFT_SECONDS = 0.004
LONGEST_DRIFT_SECONDS = 1.0
"""Timestamps of even frames that are off by more than `DRIFT_SECONDS`, always to the same side, for longer than
`LONGEST_DRIFT_SECONDS` are followed as well: some audio was lost, or its clock differs from the video's."""


class AudioTimeline:
    """Turns decoded frames of audio into int16 mono samples, each piece contiguous with the one before.

    Channels are mixed as in ITU-R BS.775 (centre 1, left and right √½, surrounds ½, no LFE), scaled so that nothing
    clips. Nothing is emitted before `origin`, the time of sample 0 in seconds of the source, is set.

    Args:
        grid: the frame rate and sample rate of the result.
        ignore_timestamps: use only the first timestamp and place all frames end to end.
    """

    def __init__(self, grid: Grid, ignore_timestamps: bool = False) -> None:
        self._ignore_timestamps = ignore_timestamps
        self._rate_hz = grid.audio_rate_hz
        self._resampler = self._create_resampler()
        self._format: tuple[str, str, int] | None = None  # a broadcast may change from stereo to 5.1
        self._drift = _DriftDetector()

        # A run is audio without a gap. Each piece has the start of its run, or None if it continues the piece before.
        self._pieces: deque[tuple[Fraction | None, Int16s]] = deque()
        self._new_run_start: Fraction | None = None  # of a run whose first piece has not left the resampler yet
        self._expected_start: Fraction | None = None  # where the next frame starts if there is no gap

        self._emitted_samples = 0
        self._overlapping_samples = 0  # of the current run, still to be dropped

        self.origin: Fraction | None = None
        self.start: Fraction | None = None
        self.gaps = 0
        self.decoded_seconds = Fraction(0)  # the duration of all frames, whatever their timestamps say

    @property
    def end(self) -> Fraction | None:
        """Where the audio pushed so far ends, in seconds of the source."""
        return self._expected_start

    def push(self, frame: av.AudioFrame) -> Iterator[Int16s]:
        """Take the next decoded frame; yield the samples that are ready."""
        if not _can_mix(frame.layout.name):
            frame = _mix_to_mono(frame)

        # Start a new run where the timestamp or the format does not continue the frame before.
        expected = self._expected_start
        if frame.pts is None or frame.time_base is None or (self._ignore_timestamps and expected):
            start = expected or Fraction(0)
        else:
            start = Fraction(frame.pts * frame.time_base)
        frame_format = frame.format.name, frame.layout.name, frame.sample_rate
        if (
            expected is None
            or frame_format != self._format
            or self._drift.is_discontinuous(float(start - expected), frame)
        ):
            self._start_run(start, frame_format)

        duration = Fraction(frame.samples, frame.sample_rate)
        self._expected_start = (self._expected_start or start) + duration
        self.decoded_seconds += duration
        self._enqueue(self._resampler.resample(frame))
        yield from self._emit_pieces()

    def flush(self, samples: int) -> Iterator[Int16s]:
        """Yield the remaining samples, then silence until `samples` have been emitted in all."""
        if self._expected_start is not None:
            self._enqueue(self._resampler.resample(None))
        yield from self._emit_pieces()
        if samples > self._emitted_samples:
            yield from self._emit_silence(samples - self._emitted_samples)

    def _start_run(self, start: Fraction, frame_format: tuple[str, str, int]) -> None:
        if self._expected_start is not None:
            self._enqueue(self._resampler.resample(None))
            self._resampler = self._create_resampler()
            self.gaps += float(start - self._expected_start) > GAP_SECONDS
        self._format = frame_format
        self._new_run_start = self._expected_start = start
        self.start = start if self.start is None else min(self.start, start)

    def _enqueue(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            samples_S = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            self._pieces.append((self._new_run_start, samples_S))
            self._new_run_start = None

    def _emit_pieces(self) -> Iterator[Int16s]:
        """Yield the queued pieces at their places: silence before a run that starts late, overlaps dropped."""
        if self.origin is None:
            return
        while self._pieces:
            run_start, samples_S = self._pieces.popleft()
            if run_start is not None:
                position = round((run_start - self.origin) * self._rate_hz)
                if position > self._emitted_samples:
                    yield from self._emit_silence(position - self._emitted_samples)
                self._overlapping_samples = max(0, self._emitted_samples - position)

            dropped = min(self._overlapping_samples, len(samples_S))
            self._overlapping_samples -= dropped
            if dropped < len(samples_S):
                self._emitted_samples += len(samples_S) - dropped
                yield samples_S[dropped:]

    def _emit_silence(self, count: int) -> Iterator[Int16s]:
        self._emitted_samples += count
        for start in range(0, count, self._rate_hz):  # a second at a time: a gap of hours must not fill the memory
            yield np.zeros(min(self._rate_hz, count - start), np.int16)

    def _create_resampler(self) -> AudioResampler:
        return AudioResampler(format="s16", layout="mono", rate=self._rate_hz)


@cache
def _can_mix(layout: str) -> bool:
    """Return whether FFmpeg can mix a channel layout to mono."""
    frame = av.AudioFrame("s16", layout, 16)
    frame.sample_rate = 16_000
    try:
        AudioResampler(format="s16", layout="mono").resample(frame)
    except FFmpegError:
        return False
    return True


def _mix_to_mono(frame: av.AudioFrame) -> av.AudioFrame:
    """Return a mono frame where FFmpeg cannot mix: the omnidirectional first channel of ambisonics, or the mean."""
    packed = AudioResampler(format=frame.format.packed.name).resample(frame)[0]
    samples_SC = packed.to_ndarray().reshape(packed.samples, -1)
    is_ambisonic = frame.layout.name.startswith("ambisonic")
    mono_S = samples_SC[:, 0] if is_ambisonic else samples_SC.mean(axis=1)

    mono_1S: Any = np.ascontiguousarray(mono_S[None], samples_SC.dtype)
    mono = av.AudioFrame.from_ndarray(mono_1S, format=packed.format.name, layout="mono")
    mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mono


class _DriftDetector:
    """Distinguishes a real gap or overlap from timestamps that are only imprecise."""

    def __init__(self) -> None:
        self._frame_samples: int | None = None
        self._is_uneven = False  # whether frames differ in length
        self._last_error = 0.0
        self._drift_seconds = 0.0  # for how long the error has been on the same side

    def is_discontinuous(self, error: float, frame: av.AudioFrame) -> bool:
        """Return whether a frame starts a new run.

        Args:
            error: the frame's timestamp minus the expected one, in seconds.
            frame: the frame, for its length.
        """
        self._is_uneven |= self._frame_samples is not None and frame.samples != self._frame_samples
        self._frame_samples = frame.samples

        drifts = abs(error) > DRIFT_SECONDS and not self._is_uneven
        if not drifts or error * self._last_error < 0:
            self._drift_seconds = 0.0
        self._last_error = error
        if drifts:
            self._drift_seconds += frame.samples / frame.sample_rate

        limit = UNEVEN_GAP_SECONDS if self._is_uneven else GAP_SECONDS
        if abs(error) <= limit and self._drift_seconds <= LONGEST_DRIFT_SECONDS:
            return False
        self._drift_seconds = 0.0
        return True
