"""Where do scenes end? Boundaries between shots, in MovieNet's layout; `film_tasks.scenes_data` reads the lists.

Boundaries are scored without training (zero-shot), by how different the two neighbouring shots are, and by a
classifier of the shots around the boundary:

    shots     … │ i-1 │  i  ‖ i+1 │ i+2 │ …      boundary i, 2k = 4 shots around it

Shapes: `S` shots of a film, `B` boundaries of a film (S - 1), `N` boundaries of a split, `E` features of a shot,
`K` shots around a boundary, `F` features of a boundary, `C` scenes of a film.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_recall_curve

from talkies.clips.film_pass import OnFilm
from talkies.core import Bools, Float32s, Float64s, Int64s, ModalityChoice, UsageError
from talkies.evaluation.film_tasks.base import MODALITY_CHOICES, FilmTask, describe_encoder, list_choices
from talkies.evaluation.film_tasks.films import Film, FilmFacts, check_films, choose_films, find_films_by_imdb_id
from talkies.evaluation.film_tasks.fitting import CLASSIFIER, average_precision, check_labels, fit_classifier
from talkies.evaluation.film_tasks.scenes_data import SHOTS, FilmScenes, read_scene_lists
from talkies.evaluation.film_tasks.shots import (
    CLIPS_OF_A_SHOT,
    COSINE_DECIMALS,
    EncodedShots,
    TimedShot,
    check_shots,
    compute_cosines,
    encode_shots,
)
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

SHOTS_A_SIDE = 2
FORMS = ("differences", "concat")

_METHOD = {
    "frames_to_seconds": "a shot lasts from first/rate to (last + 1)/rate; rate: the file's pictures a second, by its "
    "packets; time 0 is its first picture",
    "clips_of_a_shot": CLIPS_OF_A_SHOT,
    "labels": "-1 counts as 1, as published; every end of a shot but the film's own is a boundary to judge",
    "zero_shot": f"1 - cosine of the two shots' embeddings, to {COSINE_DECIMALS} decimals; both: the mean of the "
    "towers'",
    "classifier": f"{CLASSIFIER}, of {2 * SHOTS_A_SIDE} shots around the boundary (at the film's ends its first "
    "or last shot again): their features side by side, or absolute differences of the two neighbours and of the "
    "means of the sides; chosen by average precision on the validation films",
    "metric": "average precision over all boundaries, and its mean over films that have an end of a scene; F1 over all "
    "boundaries, and Miou as published (half-open frames; the film's end ends a scene; a film in which none was found "
    "counts 0), both at the threshold of the best F1 on the validation films",
    "chance_is": "for average precision the share of ends of scenes; for F1 and Miou that of every shot a scene",
}

FilmsOfSplit = Mapping[str, Sequence[str]]


class ScenesTask(FilmTask):
    """How well the ends of scenes are found among the ends of shots of the test films."""

    name = "scenes"
    needs = "label318, shot_movie318 and meta of MovieNet's scene lists, and the films by IMDb id"

    def measure(
        self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False
    ) -> Result:
        """Return the result of this task; see `FilmTask.measure`."""
        # Read and check everything before hours of encoding.
        lists = read_scene_lists(data)
        wanted = [imdb_id for ids in lists.splits.values() for imdb_id in ids]
        truth = lists.read(wanted)
        films, completeness = choose_films(find_films_by_imdb_id(data, encoder), wanted, data, allow_missing)
        splits = {split: [imdb_id for imdb_id in ids if imdb_id in films] for split, ids in lists.splits.items()}
        check_labels({split: _join_labels(truth, ids) for split, ids in splits.items()}, "ends of scenes")
        facts = check_films(films)
        shots = _time_shots(films, facts, truth, data)

        encoded = {}
        for imdb_id, film in films.items():
            encoded[imdb_id] = encode_shots(encoder, film, shots[imdb_id])
            if on_film:
                on_film(film.name, len(films))

        metrics, chance, chosen = compute_scene_metrics(encoded, truth, splits, list_choices(encoder))
        covered = [shots[imdb_id][-1].end_seconds / facts[imdb_id].seconds for imdb_id in films]
        counts = {
            "lists": {split: len(ids) for split, ids in splits.items()},
            "boundaries": {split: len(_join_labels(truth, ids)) for split, ids in splits.items()},
            "shots_end_at_share_of_film": {"least": min(covered), "most": max(covered)},
        }
        protocol = describe_encoder(encoder) | completeness | counts | _METHOD | {"chosen": chosen, "chance": chance}
        return Result(task=self.name, protocol=protocol, metrics=metrics, hashes=lists.hash_files())


def compute_scene_metrics(
    encoded: Mapping[str, EncodedShots],
    truth: Mapping[str, FilmScenes],
    splits: FilmsOfSplit,
    choices: Sequence[ModalityChoice] = MODALITY_CHOICES,
) -> tuple[dict[str, Metric], dict[str, float], dict[str, dict[str, Any]]]:
    """Return metrics and chance levels by method and modality, and the setting that each method was given.

    Args:
        encoded: The encoded shots of each film, by IMDb id.
        truth: The scenes of each film, by IMDb id.
        splits: The IMDb ids of the films of each split.
        choices: The modalities to measure.
    """
    metrics: dict[str, Metric] = {}
    chance: dict[str, float] = {}
    chosen: dict[str, dict[str, Any]] = {}
    labels = {split: _join_labels(truth, ids) for split, ids in splits.items()}
    test_films = [truth[imdb_id] for imdb_id in splits["test"]]
    ends = np.cumsum([len(film.boundary_B) for film in test_films])[:-1]

    for modality in choices:
        differences = {
            split: np.concatenate([score_zero_shot(encoded[imdb_id], modality) for imdb_id in ids])
            for split, ids in splits.items()
        }
        fitted = fit_classifier(_make_feature_reader(encoded, splits, modality), FORMS, labels)
        methods: tuple[tuple[str, Mapping[str, Float64s], dict[str, Any]], ...] = (
            ("zero_shot", differences, {}),
            ("classifier", fitted.scores, fitted.describe()),
        )

        for method, scores, setting in methods:
            threshold = choose_threshold(labels["validation"], scores["validation"])
            by_film = np.split(scores["test"], ends)
            own, levels = _measure_films(test_films, by_film, threshold)
            metrics |= {f"{method}_{modality}_{name}": metric for name, metric in own.items()}
            chance |= {f"{method}_{modality}_{name}": level for name, level in levels.items()}
            chosen[f"{method}_{modality}"] = {"threshold": threshold} | setting
    return metrics, chance, chosen


def score_zero_shot(shots: EncodedShots, modality: ModalityChoice) -> Float64s:
    """Return how different the two shots at each boundary are, `[B]`: 1 less the cosine of their embeddings."""
    if modality == "both":
        return (score_zero_shot(shots, "video") + score_zero_shot(shots, "audio")) / 2
    embeddings_SD = shots.select_embeddings(modality)
    return 1 - compute_cosines(embeddings_SD[:-1], embeddings_SD[1:])


def compute_boundary_features(rows_SE: Float32s, form: str) -> Float32s:
    """Return the features of the shots around each boundary.

    Args:
        rows_SE: The features of a film's shots, `[S, E]`.
        form: One of `FORMS`: the absolute differences of the two neighbours and of the means of both sides, or all
            features concatenated.

    Returns:
        Features `[B, F]`, float32.
    """
    boundaries = np.arange(len(rows_SE) - 1)[:, None]
    around_BK = boundaries + np.arange(1 - SHOTS_A_SIDE, SHOTS_A_SIDE + 1)
    shots_BKE = rows_SE[np.clip(around_BK, 0, len(rows_SE) - 1)]
    if form == "concat":
        return np.reshape(shots_BKE, (len(boundaries), -1))

    before_BE, after_BE = shots_BKE[:, SHOTS_A_SIDE - 1], shots_BKE[:, SHOTS_A_SIDE]
    sides_BE = shots_BKE[:, :SHOTS_A_SIDE].mean(axis=1) - shots_BKE[:, SHOTS_A_SIDE:].mean(axis=1)
    features_BF: Float32s = np.concatenate([np.abs(before_BE - after_BE), np.abs(sides_BE)], axis=1)
    return features_BF


def choose_threshold(labels_N: Bools, scores_N: Float64s) -> float:
    """Return the threshold of the best F1: the lowest score that counts as an end of a scene; among equals the lowest.

    Args:
        labels_N: Whether a scene ends at each boundary, `[N]`.
        scores_N: The score of each boundary, `[N]`.
    """
    precisions, recalls, thresholds = precision_recall_curve(labels_N, scores_N)
    products = precisions * recalls
    sums = np.maximum(precisions + recalls, np.finfo(np.float64).tiny)
    return float(thresholds[np.argmax((products / sums)[:-1])])


def compute_miou(frames_S2: Int64s, true_B: Bools, predicted_B: Bools) -> float:
    """Return the mean best overlap (intersection over union) of true scenes with predicted ones and the reverse.

    A film without a predicted end of a scene counts 0.

    Args:
        frames_S2: The first and last frame of each shot, `[S, 2]`.
        true_B: Whether a scene ends at each boundary, `[B]`.
        predicted_B: Whether one is predicted to end there, `[B]`.
    """
    if not predicted_B.any():
        return 0.0
    true_C2 = _join_shots(frames_S2, true_B)
    predicted_C2 = _join_shots(frames_S2, predicted_B)

    starts = np.maximum(true_C2[:, None, 0], predicted_C2[None, :, 0])
    ends = np.minimum(true_C2[:, None, 1], predicted_C2[None, :, 1])
    shared = np.maximum(ends - starts, 0)
    lengths = [scenes_C2[:, 1] - scenes_C2[:, 0] for scenes_C2 in (true_C2, predicted_C2)]
    overlap = shared / (lengths[0][:, None] + lengths[1][None, :] - shared)
    return float((overlap.max(axis=1).mean() + overlap.max(axis=0).mean()) / 2)


def _join_shots(frames_S2: Int64s, boundary_B: Bools) -> Int64s:
    """Return the scenes' half-open spans of frames, `[C, 2]`; the film's end ends a scene."""
    last = np.append(np.flatnonzero(boundary_B), len(frames_S2) - 1)
    first = np.append(0, last[:-1] + 1)
    return np.stack([frames_S2[first, 0], frames_S2[last, 1] + 1], axis=1)


def _measure_films(
    films: Sequence[FilmScenes], scores: Sequence[Float64s], threshold: float
) -> tuple[dict[str, Metric], dict[str, float]]:
    """Return the metrics of the test films, and their chance levels (no score, one answer for all)."""
    all_scores = np.concatenate(scores)
    all_labels = np.concatenate([film.boundary_B for film in films])
    pairs = list(zip(films, scores, strict=True))
    with_ends = [(film.boundary_B, own) for film, own in pairs if film.boundary_B.any()]

    overlaps = [compute_miou(film.frames_S2, film.boundary_B, own >= threshold) for film, own in pairs]
    metrics = {
        "average_precision": Metric.of([average_precision(all_labels, all_scores)]),
        "mean_average_precision": Metric.of([average_precision(labels, own) for labels, own in with_ends]),
        "f1": Metric.of([float(f1_score(all_labels, all_scores >= threshold, zero_division=0.0))]),
        "miou": Metric.of(overlaps),
    }

    share = float(all_labels.mean())
    every_shot = [compute_miou(film.frames_S2, film.boundary_B, np.ones_like(film.boundary_B)) for film in films]
    chance = {
        "average_precision": share,
        "mean_average_precision": float(np.mean([labels.mean() for labels, _ in with_ends])),
        "f1": 2 * share / (1 + share),
        "miou": float(np.mean(every_shot)),
    }
    return metrics, chance


def _make_feature_reader(
    encoded: Mapping[str, EncodedShots], splits: FilmsOfSplit, modality: ModalityChoice
) -> Callable[[str, str], Float32s]:
    def read_features(form: str, split: str) -> Float32s:
        features = [encoded[imdb_id].select_features(modality) for imdb_id in splits[split]]
        return np.concatenate([compute_boundary_features(rows_SE, form) for rows_SE in features])

    return read_features


def _join_labels(truth: Mapping[str, FilmScenes], imdb_ids: Sequence[str]) -> Bools:
    return np.concatenate([np.zeros(0, np.bool_), *(truth[imdb_id].boundary_B for imdb_id in imdb_ids)])


def _time_shots(
    films: Mapping[str, Film], facts: Mapping[str, FilmFacts], truth: Mapping[str, FilmScenes], data: Path
) -> dict[str, list[TimedShot]]:
    """Return the shots of each film in seconds, checked against the length of the film."""
    shots = {}
    for imdb_id, film in films.items():
        if not facts[imdb_id].constant_rate:
            raise UsageError(
                f"{film.printable_name} has a variable picture rate, so the frame numbers of its shots give no times; "
                f"take the release that the lists were made of, or convert it to a constant rate"
            )
        shots[imdb_id] = truth[imdb_id].to_shots(facts[imdb_id].fps)
        check_shots(shots[imdb_id], film, facts[imdb_id], str(data / SHOTS / f"{imdb_id}.txt"))
    return shots
