"""Decoded audio on the library's sample grid: mono, placed by timestamp, gaps filled with silence, overlaps cut.

Times are exact: whole numbers of ticks, a unit of which every timestamp and every sample is a multiple. (Fractions are
as exact, but of Vorbis, whose frames are short, they took as long as the decoder.)
"""

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from talkies.core import Grid, Int16s
from talkies.media.downmix import ChannelMix, DownmixResampler, LossGuard

GAP_SECONDS = 0.020
"""A frame whose timestamp is off by at most this continues the frame before; by more, there is a gap or an overlap."""
DRIFT_SECONDS = 0.004
LONGEST_DRIFT_SECONDS = 1.0
LONGEST_UNEVEN_DRIFT_SECONDS = 0.06
LEAST_UNEVEN_DRIFT_FRAMES = 3
"""Timestamps that are off by more than `DRIFT_SECONDS`, always to the same side, for longer than one of these are
followed as well: some audio was lost, or its clock differs from the video's. Frames of uneven length (Vorbis, PCM) are
followed sooner, because a lost one can be shorter than `GAP_SECONDS`; a single timestamp of theirs can be wrong."""
STAMP_TOLERANCE_SECONDS = 0.0015
"""Timestamps of many containers are rounded to milliseconds."""


_SECOND = Fraction(1)


class AudioTimeline:
    """Turns decoded frames of audio into int16 mono samples, each piece contiguous with the one before.

    Channels are mixed as in ITU-R BS.775 (centre 1, left and right √½, surrounds ½, no LFE), scaled so that nothing
    clips; where that loses the sound, `LossGuard` says what is used instead. Nothing is emitted before `origin`, the
    time of sample 0 in seconds of the source, is set.

    Args:
        grid: the frame rate and sample rate of the result.
        ignore_timestamps: use only the first timestamp and place all frames end to end.
        channels: the channels (counted from 1) that are mixed; all of them by default.
    """

    def __init__(self, grid: Grid, ignore_timestamps: bool = False, channels: tuple[int, ...] = ()) -> None:
        self._ignore_timestamps = ignore_timestamps
        self._rate_hz = grid.audio_rate_hz
        self._channels = channels
        self._resampler = self._create_resampler()
        self._guard = LossGuard(grid.samples_per_frame, grid.audio_rate_hz)
        self._format: tuple[str, str, int] | None = None  # a broadcast may change from stereo to 5.1
        self._ticks_per_second = 1
        self._drift = _DriftDetector()

        # A run is audio without a gap. Each piece has the start of its run, or None if it continues the piece before,
        # and rows `[R, S]`: the mono mix, then, if there are several, each channel.
        self._pieces: deque[tuple[Fraction | None, Int16s, ChannelMix | None]] = deque()
        self._new_run_start: Fraction | None = None  # of a run whose first piece has not left the resampler yet
        self._expected_start: int | None = None  # where the next frame starts if there is no gap, in ticks
        self._decoded = 0  # in ticks

        self._emitted_samples = 0
        self._overlapping_samples = 0  # of the current run, still to be dropped

        self.origin: Fraction | None = None
        self.start: Fraction | None = None
        self.gaps = 0

    @property
    def decoded_seconds(self) -> Fraction:
        """The duration of all frames, whatever their timestamps say."""
        return Fraction(self._decoded, self._ticks_per_second)

    @property
    def end(self) -> Fraction | None:
        """Where the audio pushed so far ends, in seconds of the source."""
        return None if self._expected_start is None else Fraction(self._expected_start, self._ticks_per_second)

    @property
    def lost_seconds(self) -> float:
        """For how long the mono mix lost the sound, so that only some of the channels were used."""
        return self._guard.lost_seconds

    @property
    def dominant_channels(self) -> tuple[int, ...]:
        """The channels (counted from 1) that should have been used throughout; empty if the mix is right."""
        return () if self._channels else self._guard.dominant_channels

    def push(self, frame: av.AudioFrame) -> Iterator[Int16s]:
        """Take the next decoded frame; yield the samples that are ready."""
        # Start a new run where the timestamp or the format does not continue the frame before.
        rate_hz, time_base, pts = frame.sample_rate, frame.time_base, frame.pts
        if time_base is None:
            pts, time_base = None, _SECOND
        self._divide_ticks(math.lcm(rate_hz, time_base.denominator))
        ticks_per_second = self._ticks_per_second
        duration = frame.samples * (ticks_per_second // rate_hz)
        expected = self._expected_start
        if pts is None or (self._ignore_timestamps and expected):
            start = expected or 0
        else:
            stamp = pts * time_base.numerator * (ticks_per_second // time_base.denominator)
            start = self._drift.measure_start(stamp, duration, expected)
        frame_format = frame.format.name, frame.layout.name, rate_hz
        if (
            expected is None
            or frame_format != self._format
            or self._drift.is_discontinuous((start - expected) / ticks_per_second, frame)
        ):
            self._start_run(start, frame_format)

        self._expected_start = (self._expected_start or start) + duration
        self._decoded += duration
        self._enqueue(self._resampler.resample(frame))
        yield from self._emit_pieces()

    def flush(self, samples: int) -> Iterator[Int16s]:
        """Yield the remaining samples, then silence until `samples` have been emitted in all."""
        if self._expected_start is not None:
            self._enqueue(self._resampler.resample(None))
        yield from self._emit_pieces()
        if samples > self._emitted_samples:
            yield from self._emit_silence(samples - self._emitted_samples)
        yield from _skip_empty(self._guard.flush())

    def _divide_ticks(self, parts: int) -> None:
        """Make `parts` of a second, and all times that a tick could express before, whole numbers of ticks."""
        if self._ticks_per_second % parts == 0:
            return
        factor = math.lcm(self._ticks_per_second, parts) // self._ticks_per_second
        self._ticks_per_second *= factor
        self._decoded *= factor
        if self._expected_start is not None:
            self._expected_start *= factor
        self._drift.divide_ticks(factor)

    def _start_run(self, start: int, frame_format: tuple[str, str, int]) -> None:
        if self._expected_start is not None:
            self._enqueue(self._resampler.resample(None))
            self._resampler = self._create_resampler()
            self.gaps += (start - self._expected_start) / self._ticks_per_second > GAP_SECONDS
        self._format = frame_format
        self._expected_start = start
        self._new_run_start = start_seconds = Fraction(start, self._ticks_per_second)
        self.start = start_seconds if self.start is None else min(self.start, start_seconds)

    def _enqueue(self, rows_RS: Int16s) -> None:
        if rows_RS.shape[1]:
            self._pieces.append((self._new_run_start, rows_RS, self._resampler.mix))
            self._new_run_start = None

    def _emit_pieces(self) -> Iterator[Int16s]:
        """Yield the queued pieces at their places: silence before a run that starts late, overlaps dropped."""
        if self.origin is None:
            return
        while self._pieces:
            run_start, rows_RS, mix = self._pieces.popleft()
            if run_start is not None:
                position = round((run_start - self.origin) * self._rate_hz)
                if position > self._emitted_samples:
                    yield from self._emit_silence(position - self._emitted_samples)
                self._overlapping_samples = max(0, self._emitted_samples - position)

            dropped = min(self._overlapping_samples, rows_RS.shape[1])
            self._overlapping_samples -= dropped
            self._emitted_samples += rows_RS.shape[1] - dropped
            yield from _skip_empty(self._guard.push(rows_RS[:, dropped:], mix))

    def _emit_silence(self, count: int) -> Iterator[Int16s]:
        self._emitted_samples += count
        for start in range(0, count, self._rate_hz):  # a second at a time: a gap of hours must not fill the memory
            silence_RS = np.zeros((1, min(self._rate_hz, count - start)), np.int16)
            yield from _skip_empty(self._guard.push(silence_RS, None))

    def _create_resampler(self) -> DownmixResampler:
        return DownmixResampler(self._rate_hz, self._channels)


def _skip_empty(samples_S: Int16s) -> Iterator[Int16s]:
    if len(samples_S):
        yield samples_S


class _DriftDetector:
    """Distinguishes a real gap or overlap from timestamps that are only imprecise.

    Some files of frames that differ in length store the end of a frame where its start belongs. Two neighbours that
    differ in length show it: from one timestamp to the next it is the length of the second, not of the first. Single
    timestamps of Ogg do so too, so timestamps are ends only if the errors of all frames so far are smaller that way.
    """

    def __init__(self) -> None:
        self._ticks_per_second = 1
        self._tolerance = 0  # the stamps' tolerance, in whole ticks
        self._first_length: int | None = None  # of the first frame, in ticks
        self._last_length = 0  # of the last one
        self._last_stamp = 0
        self._changes = 0  # how often the length changed
        self._votes_for_ends = 0  # how many more neighbours show that timestamps are ends than that they are starts
        self._excess_error = 0.0  # by how much the errors of all starts exceed those of all ends

        self._last_error = 0.0
        self._drift_seconds = 0.0  # for how long the error has been on the same side
        self._drift_frames = 0

    def divide_ticks(self, factor: int) -> None:
        """Divide each tick into so many; times that are given from now on are in the new ones."""
        self._ticks_per_second *= factor
        self._tolerance = math.floor(Fraction(STAMP_TOLERANCE_SECONDS) * self._ticks_per_second)
        if self._first_length is not None:
            self._first_length *= factor
        self._last_length *= factor
        self._last_stamp *= factor

    def measure_start(self, stamp: int, length: int, expected: int | None) -> int:
        """Return when a frame starts by its timestamp; call it once for each frame. All times are in ticks.

        Args:
            stamp: the timestamp.
            length: how long the frame lasts.
            expected: where it starts if it continues the frame before.
        """
        if self._first_length is None or expected is None:
            self._first_length, self._last_length, self._last_stamp = length, length, stamp
            return stamp

        if length != self._last_length:
            self._changes += 1
            step = stamp - self._last_stamp
            shows_start = abs(step - self._last_length) <= self._tolerance
            shows_end = abs(step - length) <= self._tolerance
            self._votes_for_ends += shows_end - shows_start
        self._last_stamp, self._last_length = stamp, length
        if length == self._first_length:  # both are the same
            return stamp

        start_if_end = stamp - (length - self._first_length)
        excess = (abs(stamp - expected) - abs(start_if_end - expected)) * length
        self._excess_error += excess / self._ticks_per_second**2
        return start_if_end if self._votes_for_ends > 0 and self._excess_error > 0 else stamp

    def is_discontinuous(self, error: float, frame: av.AudioFrame) -> bool:
        """Return whether a frame starts a new run.

        Args:
            error: the frame's start by its timestamp minus the expected one, in seconds.
            frame: the frame, for its length.
        """
        drifts = abs(error) > DRIFT_SECONDS
        if not drifts or error * self._last_error < 0:
            self._drift_seconds, self._drift_frames = 0.0, 0
        self._last_error = error
        if drifts:
            self._drift_seconds += frame.samples / frame.sample_rate
            self._drift_frames += 1

        if self._changes > 1:  # the first frame alone is often cut
            has_drifted = (
                self._drift_seconds > LONGEST_UNEVEN_DRIFT_SECONDS and self._drift_frames >= LEAST_UNEVEN_DRIFT_FRAMES
            )
        else:
            has_drifted = self._drift_seconds > LONGEST_DRIFT_SECONDS
        if abs(error) <= GAP_SECONDS and not has_drifted:
            return False
        self._drift_seconds, self._drift_frames = 0.0, 0
        return True
