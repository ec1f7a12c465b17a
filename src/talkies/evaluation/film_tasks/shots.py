"""The embeddings of a film's shots: one row for each shot, from the clips inside it, the film read once.

Shapes: `S` shots, `D` embedding, `E` features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, Float64s, MediaError, Modality, ModalityChoice, Span, UsageError
from talkies.evaluation.film_tasks.films import Film, FilmFacts
from talkies.runs import ClipEncoder

CLIPS_PER_SHOT = 3
CLIPS_OF_A_SHOT = (
    f"up to {CLIPS_PER_SHOT} clips inside the shot, one in the middle of each of as many equal parts as hold a clip; "
    f"of a shot shorter than a clip, the clip around its middle, moved into the film at its ends; "
    f"mean of the clips' features, and of their unit embeddings"
)
END_SLACK_SECONDS = 0.5
COSINE_DECIMALS = 6
"""Cosines that agree to this many decimals count as equal; the model's arithmetic is far less exact."""
_ROUNDING_SECONDS = 1e-6  # the lists give times to this many digits


@dataclass(frozen=True, slots=True)
class TimedShot:
    """A shot of a list: its number there, and its half-open time in seconds of the film.

    Raises:
        ValueError: if it ends before it starts, or starts before the film.
    """

    number: int
    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds < math.inf:
            raise ValueError(f"a shot is 0 <= start < end, got [{self.start_seconds}, {self.end_seconds})")

    def to_frames(self, fps: int) -> Span:
        """Return the frames of a grid of `fps` a second that are wholly inside the shot, or the one in its middle."""
        start = math.ceil((self.start_seconds - _ROUNDING_SECONDS) * fps)
        end = math.floor((self.end_seconds + _ROUNDING_SECONDS) * fps)
        if start < end:
            return Span(start, end)
        middle = int((self.start_seconds + self.end_seconds) / 2 * fps)
        return Span(middle, middle + 1)


@dataclass(frozen=True, slots=True)
class EncodedShots:
    """A film's shots: unit embeddings `video_SD` and `audio_SD`, features `video_SE` and `audio_SE`, float32."""

    video_SD: Float32s
    audio_SD: Float32s
    video_SE: Float32s
    audio_SE: Float32s

    def select_embeddings(self, modality: Modality) -> Float32s:
        """Return the unit embeddings of one modality, `[S, D]`."""
        return self.video_SD if modality == "video" else self.audio_SD

    def select_features(self, modality: ModalityChoice) -> Float32s:
        """Return the features of one modality, `[S, E]`, or of both concatenated, `[S, 2E]`."""
        if modality == "both":
            return np.concatenate([self.video_SE, self.audio_SE], axis=1)
        return self.video_SE if modality == "video" else self.audio_SE


def check_shots(shots: Sequence[TimedShot], film: Film, facts: FilmFacts, lists: str) -> None:
    """Check that the film is as long as its shots in `lists` say.

    Raises:
        UsageError: if a shot ends after the film.
    """
    late = next((shot for shot in shots if shot.end_seconds > facts.seconds + END_SLACK_SECONDS), None)
    if late is not None:
        raise UsageError(
            f"{lists}: shot {late.number} ends at {late.end_seconds:.3f} s, and {film.printable_name} ends at "
            f"{facts.seconds:.3f} s; take the release of the film that the lists were made of"
        )


def choose_clip_starts(shot: Span, window_frames: int, most: int = CLIPS_PER_SHOT) -> list[int]:
    """Return the frames at which a shot's clips start; see `CLIPS_OF_A_SHOT`.

    shot     |························|        window of 5 frames, most 3
    clips     |─────| |─────| |─────|

    Args:
        shot: The shot's frames on the grid.
        window_frames: The length of a clip in frames.
        most: The largest number of clips.
    """
    count = min(most, len(shot) // window_frames)
    if count == 0:
        return [max(0, (shot.start_frame + shot.end_frame - window_frames) // 2)]
    spare = len(shot) - count * window_frames
    return [shot.start_frame + spare * (2 * part + 1) // (2 * count) + part * window_frames for part in range(count)]


def encode_shots(encoder: ClipEncoder, film: Film, shots: Sequence[TimedShot]) -> EncodedShots:
    """Return one row for each shot, in the order of `shots`.

    Raises:
        MediaError: if the film cannot be decoded to the end of its last shot.
        UsageError: if it is shorter than a clip.
    """
    window, fps = encoder.shape.window_frames, encoder.profile.fps
    spans = [shot.to_frames(fps) for shot in shots]
    starts = [choose_clip_starts(span, window) for span in spans]
    rows = _encode_clips(encoder, film, {start for shot_starts in starts for start in shot_starts})

    # Check that the film did not end before its shots do.
    if not rows:
        raise UsageError(
            f"{film.printable_name} is shorter than one clip ({window / fps:g} s); take a model of shorter clips"
        )
    last_start = max(rows)
    readable_frames = last_start + window
    last_frame = max(span.end_frame for span in spans)
    if max(map(max, starts)) > last_start and last_frame > readable_frames + END_SLACK_SECONDS * fps:
        raise MediaError(
            "truncated",
            f"{film.printable_name} can be decoded to {readable_frames / fps:g} s only, and its shots go on; "
            f"replace it by a whole copy of the film, with its sound",
        )

    # Average the clips of each shot; the film's last clip stands for clips that would start after it.
    clips_of_shots = [[rows[min(start, last_start)] for start in shot_starts] for shot_starts in starts]
    video_SD, audio_SD, video_SE, audio_SE = (
        np.stack([np.mean([row[part] for row in clips], axis=0) for clips in clips_of_shots]).astype(np.float32)
        for part in range(4)
    )
    return EncodedShots(_normalise_rows(video_SD), _normalise_rows(audio_SD), video_SE, audio_SE)


def compute_cosines(one_SD: Float32s, other_SD: Float32s) -> Float64s:
    """Return the cosine of each row with the same row of the other array, `[S]`, to `COSINE_DECIMALS` decimals."""
    products_SD = np.multiply(_normalise_rows(one_SD), _normalise_rows(other_SD), dtype=np.float64)
    cosine_S: Float64s = np.round(products_SD.sum(axis=1), COSINE_DECIMALS)
    return cosine_S


def _encode_clips(encoder: ClipEncoder, film: Film, starts: set[int]) -> dict[int, tuple[Float32s, ...]]:
    """Return by start frame each clip's video and audio embedding `[D]`, and video and audio features `[E]`."""
    rows: dict[int, tuple[Float32s, ...]] = {}
    for batch in film.read_at(starts):
        encoded = encoder.encode(batch)
        parts = (encoded.embeddings.video_BD, encoded.embeddings.audio_BD, encoded.video_BE, encoded.audio_BE)
        arrays = [part.numpy() for part in parts]
        for place, request in enumerate(batch.requests):
            rows[request.window.start_frame] = tuple(array[place] for array in arrays)
    return rows


def _normalise_rows(rows_SD: Float32s) -> Float32s:
    lengths_S1 = np.linalg.norm(rows_SD, axis=1, keepdims=True)
    unit_SD: Float32s = (rows_SD / np.maximum(lengths_S1, np.finfo(np.float32).tiny)).astype(np.float32)
    return unit_SD
