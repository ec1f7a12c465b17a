"""Find what of a film is black, still, silent or credits, picture by picture and sample by sample."""

import math

import numpy as np

from talkies.core import Int16s, Span, UInt8s
from talkies.ingest.config import AnnotationConfig
from talkies.ingest.credits import CreditsFinder

BLACK_LUMA = 32  # of 16 (black) to 235 (white)
BLACK_SHARE = 0.98  # of the picture's pixels
STILL_LEVELS = 0.6  # mean difference of luma: less is the noise of a codec
FULL_SCALE = 32768.0


class Runs:
    """Collects runs of frames for which something holds; those shorter than `least` are forgotten."""

    def __init__(self, least: int) -> None:
        self._least, self._begun, self._next = max(1, least), -1, 0
        self.spans: list[Span] = []

    def push(self, holds: bool) -> None:
        """Take the next frame."""
        if holds and self._begun < 0:
            self._begun = self._next
        elif not holds:
            self.finish()
        self._next += 1

    def finish(self) -> list[Span]:
        """Return the runs, after the last frame."""
        if self._begun >= 0 and self._next - self._begun >= self._least:
            self.spans.append(Span(self._begun, self._next))
        self._begun = -1
        return self.spans

    @property
    def frames(self) -> int:
        """How many frames all runs cover."""
        return sum(len(span) for span in self.spans)


class AnnotationFinder:
    """Takes a film's pictures and sound as they come; `black`, `still` and `silent` hold the runs found so far."""

    def __init__(self, config: AnnotationConfig, silent_dbfs: float, fps: int, samples_per_frame: int) -> None:
        self.black, self.still, self.silent = (
            Runs(round(seconds * fps))
            for seconds in (config.black_seconds, config.still_seconds, config.silent_seconds)
        )
        self._credits = CreditsFinder(config.credits_seconds, fps)
        self._samples_per_frame = samples_per_frame
        self._silence = FULL_SCALE * 10 ** (silent_dbfs / 20)
        self._reference: Int16s | None = None  # the picture that a still run began with
        self._is_black = False
        self._rest = np.zeros(0, np.int16)
        self._peak = 0

    def push_picture(self, luma_HW: UInt8s, again: bool) -> None:
        """Take the next picture's luma; `again` says that it is the one before, shown on."""
        if again and self._reference is not None:
            self.black.push(self._is_black)
            self.still.push(True)
            self._credits.push(None)
            return
        self._is_black = bool(np.count_nonzero(luma_HW <= BLACK_LUMA) >= BLACK_SHARE * luma_HW.size)
        self.black.push(self._is_black)
        self._credits.push(luma_HW)
        luma = luma_HW.astype(np.int16)
        # Compared with the run's first picture, not the last one: a slow fade moves too.
        same = self._reference is not None and float(np.abs(luma - self._reference).mean()) < STILL_LEVELS
        if not same:
            self._reference = luma
            self.still.finish()  # a picture that moved on is the first that may stand still
        self.still.push(True)

    def push_sound(self, samples_S: Int16s) -> None:
        """Take the next samples."""
        samples = np.concatenate([self._rest, samples_S])
        frames = len(samples) // self._samples_per_frame
        whole = samples[: frames * self._samples_per_frame].reshape(frames, self._samples_per_frame).astype(np.int32)
        self._rest = samples[frames * self._samples_per_frame :]
        for peak in np.abs(whole).max(axis=1, initial=0):
            self._peak = max(self._peak, int(peak))
            self.silent.push(bool(peak <= self._silence))

    @property
    def peak_dbfs(self) -> float | None:
        """The loudest sample, in dB below full scale; nothing if all are zero."""
        return round(20 * math.log10(self._peak / FULL_SCALE), 2) if self._peak else None

    def finish(self) -> dict[str, list[Span]]:
        """Return the spans found, by kind, after the last frame."""
        runs = {"black": self.black.finish(), "silent": self.silent.finish(), "still": self.still.finish()}
        return {**runs, "credits": self._credits.finish()}
