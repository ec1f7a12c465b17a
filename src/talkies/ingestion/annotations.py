"""Find the black, still and silent spans of a film and its credits, frame by frame, while it is converted."""

import math

import numpy as np

from talkies.core import Int16s, Span, UInt8s
from talkies.ingestion.config import AnnotationConfig
from talkies.ingestion.credits import CreditsFinder

BLACK_LUMA = 32  # luma is 16 (black) to 235 (white)
BLACK_SHARE = 0.98  # of the picture's pixels
STILL_LEVELS = 0.6  # mean difference of luma; less is codec noise
FULL_SCALE = 32768.0


class RunFinder:
    """Collects the runs of frames for which a condition holds, except those shorter than `min_frames`."""

    def __init__(self, min_frames: int) -> None:
        self._min_frames = max(1, min_frames)
        self._start: int | None = None  # the first frame of the current run
        self._next = 0
        self.spans: list[Span] = []

    def push(self, holds: bool) -> None:
        """Take the next frame."""
        if holds and self._start is None:
            self._start = self._next
        elif not holds:
            self.finish()
        self._next += 1

    def finish(self) -> list[Span]:
        """End the current run and return all runs so far."""
        if self._start is not None and self._next - self._start >= self._min_frames:
            self.spans.append(Span(self._start, self._next))
        self._start = None
        return self.spans

    @property
    def frames(self) -> int:
        """How many frames the runs cover together."""
        return sum(len(span) for span in self.spans)


class AnnotationFinder:
    """Takes a film's frames and audio in order; `black`, `still` and `silent` hold the runs found so far.

    `changes` is how often the picture has become another one.

    Args:
        config: The shortest spans of each kind.
        silent_dbfs: The highest peak level of silence, in dB relative to full scale.
        fps: The frame rate.
        samples_per_frame: The number of audio samples during a frame.
    """

    def __init__(self, config: AnnotationConfig, silent_dbfs: float, fps: int, samples_per_frame: int) -> None:
        self.black = RunFinder(round(config.black_seconds * fps))
        self.still = RunFinder(round(config.still_seconds * fps))
        self.silent = RunFinder(round(config.silent_seconds * fps))
        self._credits = CreditsFinder(config.credits_seconds, fps)

        self.changes = 0
        self._reference_HW: Int16s | None = None  # the first picture of the current still run
        self._is_black = False

        self._samples_per_frame = samples_per_frame
        self._max_silent_level = FULL_SCALE * 10 ** (silent_dbfs / 20)
        self._rest_S = np.zeros(0, np.int16)  # samples that do not fill a frame yet
        self._peak = 0

    def push_frame(self, luma_HW: UInt8s, repeated: bool) -> None:
        """Take the next frame.

        Args:
            luma_HW: Its luma `[H, W]`, 16 to 235.
            repeated: Whether it shows the same picture as the frame before.
        """
        if repeated and self._reference_HW is not None:
            self.black.push(self._is_black)
            self.still.push(True)
            self._credits.push(None)
            return

        self._is_black = bool(np.count_nonzero(luma_HW <= BLACK_LUMA) >= BLACK_SHARE * luma_HW.size)
        self.black.push(self._is_black)
        self._credits.push(luma_HW)

        # Compare with the run's first picture, not with the previous one: a slow fade moves too.
        levels_HW = luma_HW.astype(np.int16)
        if self._reference_HW is None or float(np.abs(levels_HW - self._reference_HW).mean()) >= STILL_LEVELS:
            self.changes += self._reference_HW is not None
            self._reference_HW = levels_HW
            self.still.finish()  # a picture that moved starts a new run
        self.still.push(True)

    def push_audio(self, samples_S: Int16s) -> None:
        """Take the next samples, int16 mono `[S]`."""
        samples_S = np.concatenate([self._rest_S, samples_S])
        frames = len(samples_S) // self._samples_per_frame
        end = frames * self._samples_per_frame
        self._rest_S = samples_S[end:]

        # One row per frame; int32 because the absolute value of -32768 is not an int16.
        rows_FS = samples_S[:end].reshape(frames, self._samples_per_frame).astype(np.int32)
        for peak in np.abs(rows_FS).max(axis=1, initial=0):
            self._peak = max(self._peak, int(peak))
            self.silent.push(bool(peak <= self._max_silent_level))

    @property
    def peak_dbfs(self) -> float | None:
        """The peak level in dB relative to full scale, or None if all samples are zero."""
        return round(20 * math.log10(self._peak / FULL_SCALE), 2) if self._peak else None

    def finish(self) -> dict[str, list[Span]]:
        """Return the spans by kind, after the last frame."""
        return {
            "black": self.black.finish(),
            "silent": self.silent.finish(),
            "still": self.still.finish(),
            "credits": self._credits.finish(),
        }
