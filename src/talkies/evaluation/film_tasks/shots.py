"""One row for each shot of a film: what the encoders make of the clips inside it, the film read once.

Shapes: `S` shots, `D` embedding, `E` features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, Float64s, MediaError, Span, UsageError
from talkies.evaluation.film_tasks.films import Film, FilmFacts
from talkies.runs import ClipEncoder

CLIPS_PER_SHOT = 3
CLIPS_OF_A_SHOT = (
    f"up to {CLIPS_PER_SHOT} clips inside the shot, one in the middle of each of as many equal parts as hold a clip; "
    f"of a shot shorter than a clip, the clip around its middle, moved into the film at its ends; "
    f"mean of the clips' features, and of their unit embeddings"
)
END_SLACK_SECONDS = 0.5
TIES = 6
"""Cosines are equal that agree to so many decimals: far more than the model's arithmetic can tell apart."""
_SMALL = 1e-6  # seconds: lists are written with as many digits


@dataclass(frozen=True, slots=True)
class TimedShot:
    """A shot of a list: its number there, and its half-open time in seconds of the film.

    Raises:
        ValueError: if it ends before it begins, or begins before the film.
    """

    number: int
    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds < math.inf:
            raise ValueError(f"a shot is 0 <= start < end, got [{self.start_seconds}, {self.end_seconds})")

    def on(self, fps: int) -> Span:
        """Return the frames of the grid that lie wholly inside the shot, or the one in its middle."""
        start = math.ceil((self.start_seconds - _SMALL) * fps)
        end = math.floor((self.end_seconds + _SMALL) * fps)
        if start < end:
            return Span(start, end)
        middle = int((self.start_seconds + self.end_seconds) / 2 * fps)
        return Span(middle, middle + 1)


@dataclass(frozen=True, slots=True)
class ShotRows:
    """A film's shots: unit embeddings `video_SD` and `audio_SD`, features `video_SE` and `audio_SE`, float32."""

    video_SD: Float32s
    audio_SD: Float32s
    video_SE: Float32s
    audio_SE: Float32s

    def features(self, towers: str) -> Float32s:
        """Return the features of `video`, `audio`, or of `both` side by side."""
        if towers == "both":
            return np.concatenate([self.video_SE, self.audio_SE], axis=1)
        return self.video_SE if towers == "video" else self.audio_SE


def check_shots(shots: Sequence[TimedShot], film: Film, facts: FilmFacts, lists: str) -> None:
    """Check that the film is as long as its shots in `lists` say.

    Raises:
        UsageError: if a shot ends after it.
    """
    late = next((shot for shot in shots if shot.end_seconds > facts.seconds + END_SLACK_SECONDS), None)
    if late is not None:
        raise UsageError(
            f"{lists}: shot {late.number} ends at {late.end_seconds:.3f} s, and {film.name} ends at "
            f"{facts.seconds:.3f} s; take the release of the film that the lists were made of"
        )


def clip_starts(shot: Span, window_frames: int, most: int = CLIPS_PER_SHOT) -> list[int]:
    """Return the frames at which a shot's clips begin; see `CLIPS_OF_A_SHOT`.

    shot     |························|        window of 5 frames, most 3
    clips     |─────| |─────| |─────|
    """
    count = min(most, len(shot) // window_frames)
    if count == 0:
        return [max(0, (shot.start_frame + shot.end_frame - window_frames) // 2)]
    spare = len(shot) - count * window_frames
    return [shot.start_frame + spare * (2 * part + 1) // (2 * count) + part * window_frames for part in range(count)]


def encode_shots(encoder: ClipEncoder, film: Film, shots: Sequence[TimedShot]) -> ShotRows:
    """Return one row for each shot, in their order.

    Raises:
        MediaError: if the film cannot be decoded to the end of its last shot.
        UsageError: if it is shorter than a clip.
    """
    window, fps = encoder.shape.window_frames, encoder.profile.fps
    spans = [shot.on(fps) for shot in shots]
    starts = [clip_starts(span, window) for span in spans]
    rows: dict[int, tuple[Float32s, ...]] = {}
    for batch in film.at({start for some in starts for start in some}):
        encoded = encoder.encode(batch)
        parts = (encoded.embeddings.video_BD, encoded.embeddings.audio_BD, encoded.video_BE, encoded.audio_BE)
        arrays = [part.numpy() for part in parts]
        for place, request in enumerate(batch.requests):
            rows[request.window.start_frame] = tuple(array[place] for array in arrays)
    if not rows:
        raise UsageError(f"{film.name} is shorter than one clip ({window / fps:g} s); take a model of shorter clips")
    last = max(rows)
    if max(map(max, starts)) > last and max(span.end_frame for span in spans) > last + window + END_SLACK_SECONDS * fps:
        raise MediaError(
            "truncated",
            f"{film.name} can be decoded to {(last + window) / fps:g} s only, and its shots go on; "
            f"replace it by a whole copy of the film, with its sound",
        )
    kept = [[rows[min(start, last)] for start in some] for some in starts]
    video_SD, audio_SD, video_SE, audio_SE = (
        np.stack([np.mean([row[part] for row in some], axis=0) for some in kept]).astype(np.float32)
        for part in range(4)
    )
    return ShotRows(_unit(video_SD), _unit(audio_SD), video_SE, audio_SE)


def cosines(one_SD: Float32s, other_SD: Float32s) -> Float64s:
    """Return the cosine of each row with the row beside it, to `TIES` decimals."""
    products_SD = np.multiply(_unit(one_SD), _unit(other_SD), dtype=np.float64)
    cosine_S: Float64s = np.round(products_SD.sum(axis=1), TIES)
    return cosine_S


def _unit(rows_SD: Float32s) -> Float32s:
    lengths_S1 = np.linalg.norm(rows_SD, axis=1, keepdims=True)
    unit_SD: Float32s = (rows_SD / np.maximum(lengths_S1, np.finfo(np.float32).tiny)).astype(np.float32)
    return unit_SD
