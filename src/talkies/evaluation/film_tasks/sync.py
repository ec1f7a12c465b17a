"""Is this the sound of this moment? Each picture against sounds of the same film, shifted in time.

A film is encoded once on a fine stride with both towers, and rows are paired by time; windows lie on the grid and
shifts are whole strides, so a shifted sound is encoded exactly as that moment's own.

    picture           |── i ──|
    its sound         |── i ──|
    shifted by +d             |─ i+k ─|      k = d / stride

Shapes: `N` clips of a film, `K` offsets, `D` embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from talkies.clips.film_pass import OnFilm
from talkies.core import Float32s, Float64s, UsageError
from talkies.evaluation.film_tasks.base import FolderTask, check_joint, describe_encoder
from talkies.evaluation.film_tasks.films import Film, list_films
from talkies.evaluation.film_tasks.shots import COSINE_DECIMALS, compute_cosines
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

SHIFTS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class SyncScores:
    """The scores of one film, without those that it is too short for.

    `two_alternative`: accuracy of choosing between the true sound and a shifted one, by shift in rows. `auc`: area
    under the ROC curve of true against all shifted sounds. `offset`: accuracy of finding the true offset among 0 and
    the first 1, 2, … shifts in both directions, by the number of shifts.
    """

    two_alternative: dict[int, float]
    auc: float | None
    offset: dict[int, float]


class SyncTask(FolderTask):
    """How well a clip's own sound is distinguished from the sound of its film some seconds before and after."""

    name = "sync"
    needs = "films, or a library"
    compares_modalities = True

    def __init__(self, shifts_seconds: Sequence[float] = SHIFTS_SECONDS) -> None:
        self._shifts_seconds = shifts_seconds

    def _measure_folder(self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
        check_joint(encoder, self.name)
        fps = encoder.profile.fps
        stride_frames, shifts = align_shifts(self._shifts_seconds, fps)
        films = [film for film in list_films(data, encoder) if film.usable]
        for film in films:
            film.read_facts()  # raises before hours of encoding if a film is damaged

        scores: list[SyncScores] = []
        clips = 0
        for film in films:
            video_ND, audio_ND = _encode_film(encoder, film, stride_frames)
            clips += len(video_ND)
            scores.append(score_film(video_ND, audio_ND, shifts))
            if on_film:
                on_film(film.name, len(films))

        seconds = [shift * stride_frames / fps for shift in shifts]
        metrics, chance, more = compute_sync_metrics(scores, dict(zip(shifts, seconds, strict=True)))
        protocol = describe_encoder(encoder) | {
            "films": len(films),
            "clips": clips,
            "stride_seconds": stride_frames / fps,
            "shifts_seconds": seconds,
            "score": f"cosine of the towers' embeddings, to {COSINE_DECIMALS} decimals; equal scores count half",
            "pairs": "each clip with its own sound against its picture with the sound of its film one shift later, and "
            "one shift earlier, where the film has them; mean over the film's pairs, then over films",
            "shifted_sound": "encoded as the clip of that moment: windows and shifts lie on one grid, so it is the "
            "same",
            "chance": chance,
        }
        return Result(task=self.name, protocol=protocol | more, metrics=metrics)


def align_shifts(shifts_seconds: Sequence[float], fps: int) -> tuple[int, list[int]]:
    """Return the stride in frames (the smallest shift), and each shift as the nearest whole number of strides.

    Args:
        shifts_seconds: Shifts in seconds, in any order.
        fps: The frames of the grid in a second.

    Raises:
        UsageError: if a shift is not positive, or two become the same number of strides.
    """
    smallest = min(shifts_seconds, default=0.0)
    stride_frames = round(smallest * fps)
    shifts = [round(shift * fps / stride_frames) for shift in sorted(shifts_seconds)] if stride_frames > 0 else []
    if not shifts or len(set(shifts)) < len(shifts):
        raise UsageError(
            f"shifts are seconds above zero, at least a frame (1/{fps} s) and at least the smallest shift apart; "
            f"got {list(shifts_seconds)}"
        )
    return stride_frames, shifts


def score_offset(video_ND: Float32s, audio_ND: Float32s, offset: int) -> Float64s:
    """Return each picture's cosine with the sound `offset` rows later; nan where the film has no such sound.

    Args:
        video_ND: A film's video embeddings, `[N, D]`, one row for each stride.
        audio_ND: Its audio embeddings, `[N, D]`.
        offset: The offset in rows; negative for earlier sounds.

    Returns:
        Cosines `[N]`.
    """
    count = len(video_ND)
    scores_N = np.full(count, np.nan)
    first, end = max(0, -offset), min(count, count - offset)
    if first < end:
        scores_N[first:end] = compute_cosines(video_ND[first:end], audio_ND[first + offset : end + offset])
    return scores_N


def score_film(video_ND: Float32s, audio_ND: Float32s, shifts: Sequence[int]) -> SyncScores:
    """Return the scores of a film.

    Args:
        video_ND: The film's video embeddings, `[N, D]`, one row for each stride.
        audio_ND: Its audio embeddings, `[N, D]`.
        shifts: Shifts in rows, ascending.
    """
    true_N = score_offset(video_ND, audio_ND, 0)
    shifted = {shift: [score_offset(video_ND, audio_ND, sign * shift) for sign in (1, -1)] for shift in shifts}

    two_alternative = {}
    for shift, both_directions in shifted.items():
        differences = np.concatenate([true_N - scores_N for scores_N in both_directions])
        differences = differences[~np.isnan(differences)]
        if len(differences):
            two_alternative[shift] = float(((np.sign(differences) + 1) / 2).mean())

    offset = {}
    for count in range(1, len(shifts) + 1):
        others = [scores_N for shift in shifts[:count] for scores_N in shifted[shift]]
        if (accuracy := _score_offset_accuracy(true_N, np.stack(others))) is not None:
            offset[count] = accuracy

    all_shifted = [scores_N for both_directions in shifted.values() for scores_N in both_directions]
    return SyncScores(two_alternative, _compute_auc(true_N, all_shifted), offset)


def compute_sync_metrics(
    films: Sequence[SyncScores], seconds: dict[int, float]
) -> tuple[dict[str, Metric], dict[str, float], dict[str, list[float]]]:
    """Return the mean of each score over the films that are long enough, its chance level, and further protocol facts.

    Args:
        films: The scores of each film.
        seconds: Each shift, in rows, with its seconds, ascending.

    Returns:
        Metrics by name, chance levels by the same names, and the offsets that were tried and the shifts that no film
        was long enough for, in seconds.

    Raises:
        UsageError: if no film is long enough for any shift.
    """
    metrics: dict[str, Metric] = {}
    for shift, second in seconds.items():
        if values := [film.two_alternative[shift] for film in films if shift in film.two_alternative]:
            metrics[f"two_alternative_accuracy_at_{second:g}_s"] = Metric.of(values)

    areas = [film.auc for film in films if film.auc is not None]
    if not areas:
        raise UsageError(
            f"no film has two clips {min(seconds.values()):g} s apart; "
            f"name longer films, or take a model of shorter clips"
        )
    chance = dict.fromkeys(metrics, 0.5) | {"roc_auc": 0.5}
    metrics["roc_auc"] = Metric.of(areas)

    # The accuracy among most offsets that any film is long enough for.
    most = max((count for film in films for count in film.offset), default=0)
    if most:
        metrics["offset_accuracy"] = Metric.of([film.offset[most] for film in films if most in film.offset])
        chance["offset_accuracy"] = 1 / (2 * most + 1)

    later = list(seconds.values())[:most]
    offsets = [*(-second for second in reversed(later)), 0.0, *later] if most else []
    left_out = [second for second in seconds.values() if f"two_alternative_accuracy_at_{second:g}_s" not in metrics]
    return metrics, chance, {"offsets_seconds": offsets, "shifts_left_out_seconds": left_out}


def _score_offset_accuracy(true_N: Float64s, others_KN: Float64s) -> float | None:
    """Return how often the true sound scores highest (ties share the point), over rows that have all offsets."""
    complete_N = ~np.isnan(others_KN).any(axis=0)
    if not complete_N.any():
        return None
    own_N, others_KN = true_N[complete_N], others_KN[:, complete_N]
    ties_N = (others_KN == own_N).sum(axis=0)
    return float(((others_KN <= own_N).all(axis=0) / (1 + ties_N)).mean())


def _compute_auc(true_N: Float64s, shifted: Sequence[Float64s]) -> float | None:
    """Return the area under the ROC curve of true against all shifted pairs, for rows that have a shifted one."""
    others = np.stack(shifted)
    own_N = true_N[~np.isnan(others).all(axis=0)]
    negatives = others[~np.isnan(others)]
    if not len(own_N):
        return None
    labels = np.concatenate([np.ones(len(own_N), bool), np.zeros(len(negatives), bool)])
    return float(roc_auc_score(labels, np.concatenate([own_N, negatives])))


def _encode_film(encoder: ClipEncoder, film: Film, stride_frames: int) -> tuple[Float32s, Float32s]:
    """Return a film's video and audio embeddings `[N, D]`, one row for each stride; no rows if it is too short."""
    video: list[torch.Tensor] = [torch.zeros(0, encoder.dims["video"])]
    audio: list[torch.Tensor] = [torch.zeros(0, encoder.dims["audio"])]
    for batch in film.read_every(stride_frames):
        embeddings = encoder.encode(batch).embeddings
        video.append(embeddings.video_BD)
        audio.append(embeddings.audio_BD)
    return torch.cat(video).numpy(), torch.cat(audio).numpy()
