"""Where do scenes end? Boundaries between shots, in MovieNet's layout; see `film_tasks.scenes_data` for its lists.

Zero-shot by how unlike the two shots beside a boundary are, and by a classifier of the shots around it:

    shots     … │ i-1 │  i  ‖ i+1 │ i+2 │ …      boundary i, 2k = 4 shots around it

Shapes: `S` shots of a film, `B` boundaries of a film (S - 1), `N` boundaries of a split, `E` features of a shot.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_recall_curve

from talkies.core import Bools, Float32s, Float64s, Int64s, UsageError
from talkies.evaluation.film_tasks.films import FilmFacts, OnFilm, chosen_films, films_by_imdb_id, judged, protocol_of
from talkies.evaluation.film_tasks.fitting import CLASSIFIER, average_precision, check_labels, fit_on_validation
from talkies.evaluation.film_tasks.scenes_data import SHOTS, FilmScenes, read_scene_lists
from talkies.evaluation.film_tasks.shots import CLIPS_OF_A_SHOT, TIES, ShotRows, check_shots, cosines, encode_shots
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

TOWERS = ("video", "audio", "both")
SHOTS_A_SIDE = 2
FORMS = ("differences", "concat")

_METHOD = {
    "frames_to_seconds": "a shot lasts from first/rate to (last + 1)/rate; rate: the file's pictures a second, by its "
    "packets; time 0 is its first picture",
    "clips_of_a_shot": CLIPS_OF_A_SHOT,
    "labels": "-1 counts as 1, as published; every end of a shot but the film's own is a boundary to judge",
    "zero_shot": f"1 - cosine of the two shots' embeddings, to {TIES} decimals; both: the mean of the towers'",
    "classifier": f"{CLASSIFIER}, of {2 * SHOTS_A_SIDE} shots around the boundary (at the film's ends its first "
    "or last shot again): their features side by side, or absolute differences of the two neighbours and of the "
    "means of the sides; chosen by average precision on the validation films",
    "metric": "average precision over all boundaries, and its mean over films that have an end of a scene; F1 over all "
    "boundaries, and Miou as published (half-open frames; the film's end ends a scene; a film in which none was found "
    "counts 0), both at the threshold of the best F1 on the validation films",
    "chance_is": "for average precision the share of ends of scenes; for F1 and Miou that of every shot a scene",
}

FilmsOfSplit = Mapping[str, Sequence[str]]


def scenes(encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False) -> Result:
    """Return how well the ends of scenes are found among the ends of shots of the test films.

    Raises:
        UsageError: if lists or films are missing (unless that is allowed), are of another version, or do not belong
            together.
        MediaError: if a film is damaged, or lacks pictures or sound.
    """
    lists = read_scene_lists(data)
    wanted = [imdb_id for ids in lists.splits.values() for imdb_id in ids]
    truth = lists.read(wanted)
    films, completeness = chosen_films(films_by_imdb_id(data, encoder), wanted, data, allow_missing)
    splits = {split: [imdb_id for imdb_id in ids if imdb_id in films] for split, ids in lists.splits.items()}
    check_labels({split: _joined(truth, ids) for split, ids in splits.items()}, "ends of scenes")
    facts = judged(films)
    shots = {}
    for imdb_id, film in films.items():
        _check_rate(film.name, facts[imdb_id])
        shots[imdb_id] = truth[imdb_id].shots(facts[imdb_id].fps)
        check_shots(shots[imdb_id], film, facts[imdb_id], str(data / SHOTS / f"{imdb_id}.txt"))
    encoded = {}
    for imdb_id, film in films.items():
        encoded[imdb_id] = encode_shots(encoder, film, shots[imdb_id])
        if on_film:
            on_film(film.name, len(films))
    metrics, chance, chosen = scene_metrics(encoded, truth, splits)
    covered = [shots[imdb_id][-1].end_seconds / facts[imdb_id].seconds for imdb_id in films]
    counts = {
        "lists": {split: len(ids) for split, ids in splits.items()},
        "boundaries": {split: len(_joined(truth, ids)) for split, ids in splits.items()},
        "shots_end_at_share_of_film": {"least": min(covered), "most": max(covered)},
    }
    protocol = protocol_of(encoder) | completeness | counts | _METHOD | {"chosen": chosen, "chance": chance}
    return Result(task="scenes", protocol=protocol, metrics=metrics, hashes=lists.hashes())


def scene_metrics(
    encoded: Mapping[str, ShotRows], truth: Mapping[str, FilmScenes], splits: FilmsOfSplit
) -> tuple[dict[str, Metric], dict[str, float], dict[str, dict[str, Any]]]:
    """Return the metrics by way and tower, their chance levels, and each way's threshold and chosen setting."""
    metrics: dict[str, Metric] = {}
    chance: dict[str, float] = {}
    chosen: dict[str, dict[str, Any]] = {}
    labels = {split: _joined(truth, ids) for split, ids in splits.items()}
    for towers in TOWERS:
        unlike = {split: np.concatenate([zero_shot(encoded[i], towers) for i in ids]) for split, ids in splits.items()}
        fitted = fit_on_validation(_features(encoded, splits, towers), FORMS, labels)
        for way, scores, setting in (("zero_shot", unlike, {}), ("classifier", fitted.scores, fitted.setting())):
            threshold = best_threshold(labels["validation"], scores["validation"])
            ends = np.cumsum([len(truth[imdb_id].boundary_B) for imdb_id in splits["test"]])[:-1]
            by_film = np.split(scores["test"], ends)
            own, levels = _measured([truth[imdb_id] for imdb_id in splits["test"]], by_film, threshold)
            metrics |= {f"{way}_{towers}_{name}": metric for name, metric in own.items()}
            chance |= {f"{way}_{towers}_{name}": level for name, level in levels.items()}
            chosen[f"{way}_{towers}"] = {"threshold": threshold} | setting
    return metrics, chance, chosen


def zero_shot(rows: ShotRows, towers: str) -> Float64s:
    """Return how unlike the shots beside each boundary are, `[B]`."""
    if towers == "both":
        return (zero_shot(rows, "video") + zero_shot(rows, "audio")) / 2
    rows_SD = rows.video_SD if towers == "video" else rows.audio_SD
    return 1 - cosines(rows_SD[:-1], rows_SD[1:])


def boundary_features(rows_SE: Float32s, form: str) -> Float32s:
    """Return the features of each boundary's neighbourhood, `[B, F]`; see `FORMS`."""
    boundaries = np.arange(len(rows_SE) - 1)[:, None]
    around = boundaries + np.arange(1 - SHOTS_A_SIDE, SHOTS_A_SIDE + 1)
    shots_BKE = rows_SE[np.clip(around, 0, len(rows_SE) - 1)]
    if form == "concat":
        return np.reshape(shots_BKE, (len(boundaries), -1))
    before_BE, after_BE = shots_BKE[:, SHOTS_A_SIDE - 1], shots_BKE[:, SHOTS_A_SIDE]
    sides_BE = shots_BKE[:, :SHOTS_A_SIDE].mean(axis=1) - shots_BKE[:, SHOTS_A_SIDE:].mean(axis=1)
    features_BF: Float32s = np.concatenate([np.abs(before_BE - after_BE), np.abs(sides_BE)], axis=1)
    return features_BF


def best_threshold(labels_N: Bools, scores_N: Float64s) -> float:
    """Return the lowest score that counts as an end of a scene, for the best F1; of equals the lowest."""
    precisions, recalls, thresholds = precision_recall_curve(labels_N, scores_N)
    products, sums = precisions * recalls, np.maximum(precisions + recalls, np.finfo(np.float64).tiny)
    return float(thresholds[np.argmax((products / sums)[:-1])])


def miou(frames_S2: Int64s, true_B: Bools, found_B: Bools) -> float:
    """Return the mean of two means: true scenes' best overlap with found ones (over their union), and the reverse.

    A film in which no end of a scene was found counts 0.
    """
    if not found_B.any():
        return 0.0
    true_C2, found_C2 = _scenes_of(frames_S2, true_B), _scenes_of(frames_S2, found_B)
    starts = np.maximum(true_C2[:, None, 0], found_C2[None, :, 0])
    ends = np.minimum(true_C2[:, None, 1], found_C2[None, :, 1])
    shared = np.maximum(ends - starts, 0)
    lengths = [scenes_C2[:, 1] - scenes_C2[:, 0] for scenes_C2 in (true_C2, found_C2)]
    overlap = shared / (lengths[0][:, None] + lengths[1][None, :] - shared)
    return float((overlap.max(axis=1).mean() + overlap.max(axis=0).mean()) / 2)


def _scenes_of(frames_S2: Int64s, boundary_B: Bools) -> Int64s:
    """Return the scenes' half-open spans of frames, `[C, 2]`; the film's end ends a scene."""
    last = np.append(np.flatnonzero(boundary_B), len(frames_S2) - 1)
    first = np.append(0, last[:-1] + 1)
    return np.stack([frames_S2[first, 0], frames_S2[last, 1] + 1], axis=1)


def _measured(
    truth: Sequence[FilmScenes], scores: Sequence[Float64s], threshold: float
) -> tuple[dict[str, Metric], dict[str, float]]:
    """Return the metrics of the test films, and their chance levels (no score, one answer for all)."""
    joined, labels = np.concatenate(scores), np.concatenate([film.boundary_B for film in truth])
    with_ends = [(film.boundary_B, own) for film, own in zip(truth, scores, strict=True) if film.boundary_B.any()]
    overlaps = [
        miou(film.frames_S2, film.boundary_B, own >= threshold) for film, own in zip(truth, scores, strict=True)
    ]
    metrics = {
        "average_precision": Metric.of([average_precision(labels, joined)]),
        "mean_average_precision": Metric.of([average_precision(own, score) for own, score in with_ends]),
        "f1": Metric.of([float(f1_score(labels, joined >= threshold, zero_division=0.0))]),
        "miou": Metric.of(overlaps),
    }
    share = float(labels.mean())
    chance = {
        "average_precision": share,
        "mean_average_precision": float(np.mean([own.mean() for own, _ in with_ends])),
        "f1": 2 * share / (1 + share),
        "miou": float(
            np.mean([miou(film.frames_S2, film.boundary_B, np.ones_like(film.boundary_B)) for film in truth])
        ),
    }
    return metrics, chance


def _features(encoded: Mapping[str, ShotRows], splits: FilmsOfSplit, towers: str) -> Callable[[str, str], Float32s]:
    def features(form: str, split: str) -> Float32s:
        return np.concatenate([boundary_features(encoded[i].features(towers), form) for i in splits[split]])

    return features


def _joined(truth: Mapping[str, FilmScenes], imdb_ids: Sequence[str]) -> Bools:
    return np.concatenate([np.zeros(0, np.bool_), *(truth[imdb_id].boundary_B for imdb_id in imdb_ids)])


def _check_rate(name: str, facts: FilmFacts) -> None:
    if not facts.constant_rate:
        raise UsageError(
            f"{name} has no constant picture rate, so frame numbers of its shots tell no time; "
            f"take the release that the lists were made of, or convert it to a constant rate"
        )
