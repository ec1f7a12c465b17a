"""Whether clips are what the films show and say at their times: the library's files beside the originals.

Shapes: `T` frames, `P` rows of a planar picture, `W` columns, `S` samples.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.clips.source import ClipSource
from talkies.core import Clip, ClipRequest, FilmId, Int16s, MediaError, SourceError, UInt8s, crop_middle_square
from talkies.library import Library
from talkies.media import MediaInfo, OriginalReader
from talkies.runtime import is_remote

_MOST_LAG_SECONDS = 0.25
_TELLING = 1.2  # a picture that is a frame off must differ by so much more than the right one
_ALIKE = 0.5  # the least correlation of sounds that are the same


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What one clip showed beside the original: `frames_off` is by how many frames its pictures are off, `lag_seconds`
    how much later its sound is; nothing where that cannot be told, for nothing moves or nothing is heard.
    """

    request: ClipRequest
    frames_off: int | None
    lag_seconds: float | None


class Originals:
    """The source files of a library's films, those that are still there."""

    def __init__(self, library: Library, source: ClipSource) -> None:
        self._library, self._source = library, source

    def open(self, film_id: FilmId) -> OriginalReader:
        """Return a film's source file, open.

        Raises:
            MediaError, SourceError: if it is not there any more, cannot be read, or its moments cannot be sought.
        """
        record = self._library.record_of(film_id)
        if record is None or record.probe is None or record.measures is None or is_remote(record.source):
            raise MediaError("missing", f"the source of film {film_id} is not on this machine")
        if not Path(record.source).is_file() or Path(record.source).stat().st_size != record.source_bytes:
            raise MediaError("missing", f"{record.source} is not there any more as it was ingested")
        profile = self._library.profile
        info = MediaInfo.model_validate_json(json.dumps(record.probe))
        return OriginalReader(
            Path(record.source), info, record.measures.origin_seconds, profile.grid, profile.short_side
        )

    def clip(self, original: OriginalReader, request: ClipRequest) -> Clip:
        """Return a clip as it is read from the original."""
        shape = self._source.shape
        pictures, samples = original.read(
            shape.select_video_frames(request.window), shape.select_audio_span(request.audio_window)
        )
        return Clip(request, crop_middle_square(pictures), samples)

    def fidelity(self, requests: Sequence[ClipRequest]) -> list[Fidelity]:
        """Return what clips are beside the originals; those whose original cannot be used are left out."""
        found: list[Fidelity] = []
        for film_id in dict.fromkeys(request.film_id for request in requests):
            try:
                with self.open(film_id) as original:
                    found += [self._compared(original, r) for r in requests if r.film_id == film_id]
            except (MediaError, SourceError):
                continue
        return found

    def _compared(self, original: OriginalReader, request: ClipRequest) -> Fidelity:
        clip, grid = self._source.read(request), self._library.profile.grid
        frames = self._source.shape.select_video_frames(request.window)
        around = range(max(0, frames.start - 1), frames[-1] + 2)  # a picture more at both ends
        pictures, samples = original.read(around, self._source.shape.select_audio_span(request.window))
        square = crop_middle_square(pictures)
        off = frames_off(clip.video_TPW, square, [frame - around.start for frame in frames])
        return Fidelity(request, off, sound_lag_seconds(clip.audio_S, samples, grid.audio_rate_hz))


def frames_off(clip_TPW: UInt8s, around_TPW: UInt8s, place: Sequence[int]) -> int | None:
    """Return by how many frames (−1, 0, 1) pictures are off, or nothing if they move too little to tell.

    `place[t]` is where in `around_TPW` picture *t* belongs.
    """
    differences: dict[int, float] = {}
    for off in (-1, 0, 1):
        pairs = [(t, p + off) for t, p in enumerate(place) if 0 <= p + off < len(around_TPW)]
        differences[off] = float(
            np.mean([np.abs(clip_TPW[t].astype(np.int16) - around_TPW[p]).mean() for t, p in pairs])
        )
    best, second = sorted(differences.values())[:2]
    return min(differences, key=lambda off: differences[off]) if second > _TELLING * best else None


def sound_lag_seconds(heard_S: Int16s, original_S: Int16s, rate_hz: int) -> float | None:
    """Return how much later `heard_S` is than `original_S`, by their cross-correlation, or nothing if they are silent
    or too unlike to tell.
    """
    size, most = 2 * len(heard_S), int(_MOST_LAG_SECONDS * rate_hz)
    heard, original = (np.fft.rfft(samples.astype(np.float64), size) for samples in (heard_S, original_S))
    scale = np.sqrt(np.square(heard_S.astype(np.float64)).sum() * np.square(original_S.astype(np.float64)).sum())
    if not scale:
        return None
    likeness = np.fft.irfft(heard * original.conj(), size) / scale
    lags = np.arange(-most, most + 1)
    best = int(likeness[lags].argmax())
    return float(lags[best] / rate_hz) if likeness[lags[best]] >= _ALIKE else None
