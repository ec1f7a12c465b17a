"""Is this the sound of this very moment? Each picture against sounds of the same film, shifted in time.

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

from talkies.core import Float32s, Float64s, UsageError
from talkies.evaluation.film_tasks.films import Film, OnFilm, films_in, protocol_of
from talkies.evaluation.film_tasks.shots import TIES, cosines
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

SHIFTS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class SyncScores:
    """What one film comes to: accuracy of two alternatives by shift (in rows), area under the curve of all shifts,
    and accuracy of finding the offset among 0 and the first 1, 2, … shifts, both ways; less what it is too short for.
    """

    two_alternative: dict[int, float]
    auc: float | None
    offset: dict[int, float]


def sync(
    encoder: ClipEncoder,
    data: Path,
    on_film: OnFilm | None = None,
    *,
    shifts_seconds: Sequence[float] = SHIFTS_SECONDS,
) -> Result:
    """Return how well a clip's own sound is told from the sound of its film at `shifts_seconds` before and after.

    Raises:
        UsageError: if `data` holds no film, no film is long enough, or the shifts are not positive and apart.
        MediaError: if a film is damaged, or lacks pictures or sound.
    """
    fps = encoder.profile.fps
    stride_frames, shifts = on_grid(shifts_seconds, fps)
    films = [film for film in films_in(data, encoder) if film.usable]
    for film in films:
        film.facts()
    found: list[SyncScores] = []
    clips = 0
    for film in films:
        video_ND, audio_ND = _rows_of(encoder, film, stride_frames)
        clips += len(video_ND)
        found.append(sync_scores(video_ND, audio_ND, shifts))
        if on_film:
            on_film(film.name, len(films))
    seconds = [shift * stride_frames / fps for shift in shifts]
    metrics, chance, more = sync_metrics(found, dict(zip(shifts, seconds, strict=True)))
    protocol = protocol_of(encoder) | {
        "films": len(films),
        "clips": clips,
        "stride_seconds": stride_frames / fps,
        "shifts_seconds": seconds,
        "score": f"cosine of the towers' embeddings, to {TIES} decimals; equal scores count half",
        "pairs": "each clip with its own sound against its picture with the sound of its film one shift later, and "
        "one shift earlier, where the film has them; mean over the film's pairs, then over films",
        "shifted_sound": "encoded as the clip of that moment: windows and shifts lie on one grid, so it is the same",
        "chance": chance,
    }
    return Result(task="sync", protocol=protocol | more, metrics=metrics)


def on_grid(shifts_seconds: Sequence[float], fps: int) -> tuple[int, list[int]]:
    """Return the stride in frames (the smallest shift), and the shifts in strides, the nearest that there are.

    Raises:
        UsageError: if shifts are not positive, or two fall together.
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


def scores_at(video_ND: Float32s, audio_ND: Float32s, offset: int) -> Float64s:
    """Return each picture's cosine with the sound `offset` rows later, `[N]`; nan where the film has none."""
    count = len(video_ND)
    scores_N = np.full(count, np.nan)
    first, end = max(0, -offset), min(count, count - offset)
    if first < end:
        scores_N[first:end] = cosines(video_ND[first:end], audio_ND[first + offset : end + offset])
    return scores_N


def sync_scores(video_ND: Float32s, audio_ND: Float32s, shifts: Sequence[int]) -> SyncScores:
    """Return what a film's rows come to for `shifts` in rows, in rising order."""
    true_N = scores_at(video_ND, audio_ND, 0)
    shifted = {shift: [scores_at(video_ND, audio_ND, sign * shift) for sign in (1, -1)] for shift in shifts}
    two_alternative = {}
    for shift, pair in shifted.items():
        differences = np.concatenate([true_N - scores_N for scores_N in pair])
        there = differences[~np.isnan(differences)]
        if len(there):
            two_alternative[shift] = float(((np.sign(there) + 1) / 2).mean())
    offset = {}
    for most in range(1, len(shifts) + 1):
        others = [scores_N for shift in shifts[:most] for scores_N in shifted[shift]]
        if (accuracy := _offset_accuracy(true_N, np.stack(others))) is not None:
            offset[most] = accuracy
    return SyncScores(two_alternative, _auc(true_N, [one for pair in shifted.values() for one in pair]), offset)


def sync_metrics(
    found: Sequence[SyncScores], seconds: dict[int, float]
) -> tuple[dict[str, Metric], dict[str, float], dict[str, list[float]]]:
    """Return the mean of each measure over the films that are long enough for it, its chance, and what else to say.

    `seconds` gives each shift in seconds, in rising order.

    Raises:
        UsageError: if no film is long enough for any.
    """
    metrics: dict[str, Metric] = {}
    for shift, second in seconds.items():
        if values := [film.two_alternative[shift] for film in found if shift in film.two_alternative]:
            metrics[f"two_alternative_accuracy_at_{second:g}_s"] = Metric.of(values)
    areas = [film.auc for film in found if film.auc is not None]
    if not areas:
        raise UsageError(
            f"no film has two clips {min(seconds.values()):g} s apart; "
            f"name longer films, or take a model of shorter clips"
        )
    chance = dict.fromkeys(metrics, 0.5) | {"roc_auc": 0.5}
    metrics["roc_auc"] = Metric.of(areas)
    left_out = [second for second in seconds.values() if f"two_alternative_accuracy_at_{second:g}_s" not in metrics]
    most = max((most for film in found for most in film.offset), default=0)
    if most:
        metrics["offset_accuracy"] = Metric.of([film.offset[most] for film in found if most in film.offset])
        chance["offset_accuracy"] = 1 / (2 * most + 1)
    among = list(seconds.values())[:most]
    offsets = [*(-second for second in reversed(among)), 0.0, *among] if most else []
    return metrics, chance, {"offsets_seconds": offsets, "shifts_left_out_seconds": left_out}


def _offset_accuracy(true_N: Float64s, others_KN: Float64s) -> float | None:
    """Return how often the true sound scores highest (ties share the point), over rows that have all offsets."""
    whole_N = ~np.isnan(others_KN).any(axis=0)
    if not whole_N.any():
        return None
    own_N, others_KN = true_N[whole_N], others_KN[:, whole_N]
    equals_N = (others_KN == own_N).sum(axis=0)
    return float(((others_KN <= own_N).all(axis=0) / (1 + equals_N)).mean())


def _auc(true_N: Float64s, shifted: Sequence[Float64s]) -> float | None:
    """Return the area under the curve of true pairs against all shifted ones, for rows that have a shifted one."""
    others = np.stack(shifted)
    own_N = true_N[~np.isnan(others).all(axis=0)]
    negatives = others[~np.isnan(others)]
    if not len(own_N):
        return None
    labels = np.concatenate([np.ones(len(own_N), bool), np.zeros(len(negatives), bool)])
    return float(roc_auc_score(labels, np.concatenate([own_N, negatives])))


def _rows_of(encoder: ClipEncoder, film: Film, stride_frames: int) -> tuple[Float32s, Float32s]:
    """Return a film's embeddings, one row each stride; none if it is shorter than a clip."""
    video: list[torch.Tensor] = [torch.zeros(0, encoder.dim)]
    audio: list[torch.Tensor] = [torch.zeros(0, encoder.dim)]
    for batch in film.every(stride_frames):
        embeddings = encoder.encode(batch).embeddings
        video.append(embeddings.video_BD)
        audio.append(embeddings.audio_BD)
    return torch.cat(video).numpy(), torch.cat(audio).numpy()
