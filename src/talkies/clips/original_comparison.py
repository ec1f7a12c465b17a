"""Compare clips of a library with its films' source files: are they the right pictures and sound, at the right times?

Shapes: `T` frames, `P` rows of a planar picture, `W` columns, `S` samples.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.clips.framing import cut_part, find_part, fit_square
from talkies.clips.source import ClipSource
from talkies.core import (
    Clip,
    ClipRequest,
    FilmId,
    Int16s,
    MediaError,
    SourceError,
    Span,
    UInt8s,
    escape_controls,
    find_largest_bars,
    picture_height,
    text_to_path,
)
from talkies.library import Library
from talkies.media import MediaInfo, OriginalReader
from talkies.runtime import is_remote

_MOST_LAG_SECONDS = 0.25
_LEAST_CONTRAST = 1.2  # how much more the second-best match of the pictures must differ than the best
_LEAST_CORRELATION = 0.5  # of two recordings of the same sound


@dataclass(frozen=True, slots=True)
class ClipComparison:
    """A clip compared with its film's source file.

    `frames_off` is the offset of its pictures, `lag_seconds` the delay of its sound; None where nothing moves, or
    nothing is heard.
    """

    request: ClipRequest
    frames_off: int | None
    lag_seconds: float | None


class Originals:
    """Opens and reads the source files of a library's films, those that still exist."""

    def __init__(self, library: Library, source: ClipSource) -> None:
        self._library, self._source = library, source

    def open(self, film_id: FilmId) -> OriginalReader:
        """Open a film's source file.

        Raises:
            MediaError, SourceError: if it no longer exists, cannot be read, or cannot be sought.
        """
        record = self._library.record_of(film_id)
        if record is None or record.probe is None or record.measures is None or is_remote(record.source):
            raise MediaError("missing", f"the source of film {film_id} is not on this machine")
        path = text_to_path(record.source)
        if not path.is_file() or path.stat().st_size != record.source_bytes:
            raise MediaError(
                "missing", f"{escape_controls(record.source)} is missing or has changed since it was ingested"
            )
        profile = self._library.profile
        info = MediaInfo.model_validate_json(json.dumps(record.probe))
        origin_seconds, channels = record.measures.origin_seconds, record.measures.sound_channels
        return OriginalReader(path, info, origin_seconds, profile.grid, profile.short_side, channels=channels)

    def read_clip(self, original: OriginalReader, request: ClipRequest) -> Clip:
        """Return a clip read from its source file."""
        shape = self._source.shape
        frames, span = shape.select_video_frames(request.window), shape.select_audio_span(request.audio_window)
        pictures, samples = original.read(frames, span)
        return Clip(request, self._cut_squares(pictures, request), samples)

    def _cut_squares(self, pictures_TPW: UInt8s, request: ClipRequest) -> UInt8s:
        """Return the squares of pictures that a clip shows, without the film's bars."""
        record, side = self._library.record_of(request.film_id), self._library.profile.short_side
        frames = self._source.shape.select_video_frames(request.window)
        bars = find_largest_bars((record.bars if record else None) or (), Span(frames[0], frames[-1] + 1))
        size = pictures_TPW.shape[2], picture_height(pictures_TPW.shape[1])
        return fit_square(cut_part(pictures_TPW, find_part(bars, size, "centre", request.place)), side)

    def compare(self, requests: Sequence[ClipRequest]) -> list[ClipComparison]:
        """Return clips compared with their source files, without those whose source file cannot be used."""
        comparisons: list[ClipComparison] = []
        for film_id in dict.fromkeys(request.film_id for request in requests):
            film_requests = [request for request in requests if request.film_id == film_id]
            try:
                with self.open(film_id) as original:
                    comparisons += [self._compare_clip(original, request) for request in film_requests]
            except (MediaError, SourceError):
                continue
        return comparisons

    def _compare_clip(self, original: OriginalReader, request: ClipRequest) -> ClipComparison:
        clip, grid, shape = self._source.read(request), self._library.profile.grid, self._source.shape
        frames = shape.select_video_frames(request.window)
        around = range(max(0, frames.start - 1), frames[-1] + 2)  # one picture more at both ends
        pictures, samples = original.read(around, shape.select_audio_span(request.window))
        places = [frame - around.start for frame in frames]
        offset = compute_frame_offset(clip.video_TPW, self._cut_squares(pictures, request), places)
        return ClipComparison(request, offset, compute_audio_lag(clip.audio_S, samples, grid.audio_rate_hz))


def compute_frame_offset(clip_TPW: UInt8s, around_TPW: UInt8s, places: Sequence[int]) -> int | None:
    """Return by how many frames (−1, 0, 1) pictures are off, or None if they move too little.

    Args:
        clip_TPW: The pictures.
        around_TPW: Those of the source file, with one more at both ends.
        places: Where in `around_TPW` each picture belongs.
    """
    differences: dict[int, float] = {}
    for offset in (-1, 0, 1):
        pairs = [(t, place + offset) for t, place in enumerate(places) if 0 <= place + offset < len(around_TPW)]
        differences[offset] = float(
            np.mean([np.abs(clip_TPW[t].astype(np.int16) - around_TPW[place]).mean() for t, place in pairs])
        )
    best, second = sorted(differences.values())[:2]
    return min(differences, key=lambda offset: differences[offset]) if second > _LEAST_CONTRAST * best else None


def compute_audio_lag(clip_S: Int16s, original_S: Int16s, rate_hz: int) -> float | None:
    """Return how many seconds later `clip_S` is than `original_S`, by their cross-correlation.

    None if one is silent, or they are too different.
    """
    size, most = 2 * len(clip_S), int(_MOST_LAG_SECONDS * rate_hz)
    clip, original = (np.fft.rfft(samples.astype(np.float64), size) for samples in (clip_S, original_S))
    scale = np.sqrt(np.square(clip_S.astype(np.float64)).sum() * np.square(original_S.astype(np.float64)).sum())
    if not scale:
        return None
    correlation = np.fft.irfft(clip * original.conj(), size) / scale
    lags = np.arange(-most, most + 1)
    best = int(correlation[lags].argmax())
    return float(lags[best] / rate_hz) if correlation[lags[best]] >= _LEAST_CORRELATION else None
