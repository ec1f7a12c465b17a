"""Does a cut from one shot of a film to another match, by frame or by motion?

The data and the metric are Netflix'; `film_tasks.matchcut_data` reads the lists. Pairs of shots are scored without
training (zero-shot), and by a classifier of the pair.

Shapes: `N` pairs, `E` features of a shot, `F` features of a pair.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from talkies.clips.film_pass import OnFilm
from talkies.core import Bools, Float32s, Float64s, ModalityChoice
from talkies.evaluation.film_tasks.base import MODALITY_CHOICES, FilmTask, describe_encoder, list_choices
from talkies.evaluation.film_tasks.films import Film, check_films, choose_films, find_films_by_imdb_id
from talkies.evaluation.film_tasks.fitting import CLASSIFIER, average_precision, check_labels, fit_classifier
from talkies.evaluation.film_tasks.matchcut_data import (
    KINDS,
    RANGES,
    SPLITS,
    MatchCutLists,
    ShotPair,
    hash_matchcut_lists,
    read_matchcut_lists,
)
from talkies.evaluation.film_tasks.shots import (
    CLIPS_OF_A_SHOT,
    COSINE_DECIMALS,
    EncodedShots,
    check_shots,
    compute_cosines,
    encode_shots,
)
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

_FORMS: dict[str, Callable[[Float32s, Float32s], Float32s]] = {
    "mean": lambda one, other: (one + other) * np.float32(0.5),
    "concat": lambda one, other: np.concatenate([one, other], axis=1),
    "abs_diff": lambda one, other: np.abs(one - other),
}

_METHOD = {
    "clips_of_a_shot": CLIPS_OF_A_SHOT,
    "zero_shot": f"cosine of the two shots' embeddings, to {COSINE_DECIMALS} decimals; both: the mean of the towers' "
    "cosines",
    "classifier": f"{CLASSIFIER}, of the two shots' {', '.join(_FORMS)}; chosen by average precision on the validation "
    "films; fitted once (the published figures take the best of 5 bootstraps)",
    "metric": "average precision over all labelled pairs of the test films, equal scores taken together",
    "random_negatives": "left out as in the published figures; added to the test pairs in the metrics named so",
}

FilmShots = Mapping[str, tuple[Mapping[int, int], EncodedShots]]
"""By IMDb id: the row of each shot's number, and the rows."""
PairsBySplit = Mapping[str, Sequence[ShotPair]]


class MatchCutTask(FilmTask):
    """The average precision of frame and motion match cuts among the labelled pairs of the test films."""

    name = "matchcut"
    needs = "the folder data of github.com/Netflix/matchcut, and its films by IMDb id"

    def measure(
        self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False
    ) -> Result:
        """Return the result of this task; see `FilmTask.measure`."""
        lists = read_matchcut_lists(data)
        wanted = [imdb_id for split in SPLITS for imdb_id in lists.splits[split]]
        films, completeness = choose_films(find_films_by_imdb_id(data, encoder), wanted, data, allow_missing)
        _check_films(films, lists, data)

        pairs = split_pairs(lists, films)
        for kind, by_split in pairs.items():
            check_labels({split: _stack_labels(own) for split, own in by_split.items()}, f"{kind} match cuts")

        encoded = _encode_films(encoder, films, lists, on_film)
        negatives = [pair for pair in lists.random_negatives if pair.imdb_id in films]
        metrics, chance, chosen = compute_matchcut_metrics(
            encoded, pairs, _select_split(lists, negatives, "test"), list_choices(encoder)
        )
        counts = {
            "lists": {split: sum(imdb_id in films for imdb_id in lists.splits[split]) for split in SPLITS},
            "pairs": {kind: {split: len(own) for split, own in by_split.items()} for kind, by_split in pairs.items()},
            "shots": sum(len(numbers) for numbers, _ in encoded.values()),
        }
        protocol = describe_encoder(encoder) | completeness | counts | _METHOD | {"chosen": chosen, "chance": chance}
        return Result(task=self.name, protocol=protocol, metrics=metrics, hashes=hash_matchcut_lists(data))


def _check_films(films: Mapping[str, Film], lists: MatchCutLists, data: Path) -> None:
    for imdb_id, facts in check_films(films).items():
        shots = sorted(lists.shots[imdb_id].values(), key=lambda shot: shot.start_seconds)
        check_shots(shots, films[imdb_id], facts, str(data / "data" / RANGES))


def _encode_films(
    encoder: ClipEncoder, films: Mapping[str, Film], lists: MatchCutLists, on_film: OnFilm | None
) -> dict[str, tuple[Mapping[int, int], EncodedShots]]:
    encoded: dict[str, tuple[Mapping[int, int], EncodedShots]] = {}
    for imdb_id, film in films.items():
        numbers = sorted(lists.shots[imdb_id])
        shots = encode_shots(encoder, film, [lists.shots[imdb_id][number] for number in numbers])
        encoded[imdb_id] = {number: row for row, number in enumerate(numbers)}, shots
        if on_film:
            on_film(film.name, len(films))
    return encoded


def split_pairs(lists: MatchCutLists, imdb_ids: Collection[str]) -> dict[str, dict[str, list[ShotPair]]]:
    """Return the labelled pairs of these films, by kind of match cut and split."""
    pairs = {}
    for kind in KINDS:
        of_films = [pair for pair in lists.pairs[kind] if pair.imdb_id in imdb_ids]
        pairs[kind] = {split: _select_split(lists, of_films, split) for split in SPLITS}
    return pairs


def compute_matchcut_metrics(
    encoded: FilmShots,
    pairs: Mapping[str, PairsBySplit],
    random_negatives: Sequence[ShotPair],
    choices: Sequence[ModalityChoice] = MODALITY_CHOICES,
) -> tuple[dict[str, Metric], dict[str, float], dict[str, dict[str, Any]]]:
    """Return average precisions, their chance levels, and the setting that each classifier was given.

    Args:
        encoded: The encoded shots of each film.
        pairs: The labelled pairs, by kind of match cut and split.
        random_negatives: Random pairs of the test films, added to the test pairs for the second zero-shot figure.
        choices: The modalities to measure.

    Returns:
        Metrics by kind, method and modality; by the same names the share of matches, and for classifiers the setting.
    """
    metrics: dict[str, Metric] = {}
    chance: dict[str, float] = {}
    chosen: dict[str, dict[str, Any]] = {}
    for kind, by_split in pairs.items():
        labels = {split: _stack_labels(own) for split, own in by_split.items()}
        share = float(labels["test"].mean())
        with_negatives = [*by_split["test"], *random_negatives]
        labels_with_negatives = _stack_labels(with_negatives)

        for modality in choices:
            name = f"{kind}_zero_shot_{modality}_average_precision"
            scores = score_zero_shot(encoded, by_split["test"], modality)
            metrics[name] = Metric.of([average_precision(labels["test"], scores)])
            chance[name] = share

            name = f"{kind}_zero_shot_{modality}_average_precision_with_random_negatives"
            scores = score_zero_shot(encoded, with_negatives, modality)
            metrics[name] = Metric.of([average_precision(labels_with_negatives, scores)])
            chance[name] = float(labels_with_negatives.mean())

        for modality in choices:
            fitted = fit_classifier(_make_feature_reader(encoded, by_split, modality), list(_FORMS), labels)
            name = f"{kind}_classifier_{modality}_average_precision"
            metrics[name] = Metric.of([average_precision(labels["test"], fitted.scores["test"])])
            chance[name] = share
            chosen[name] = fitted.describe()
    return metrics, chance, chosen


def score_zero_shot(encoded: FilmShots, pairs: Sequence[ShotPair], modality: ModalityChoice) -> Float64s:
    """Return the cosine of the embeddings of each pair's shots, `[N]`; for both modalities the mean of the two."""
    if modality == "both":
        return (score_zero_shot(encoded, pairs, "video") + score_zero_shot(encoded, pairs, "audio")) / 2
    one, other = _gather_pairs(encoded, pairs, lambda shots: shots.select_embeddings(modality))
    return compute_cosines(one, other)


def _make_feature_reader(
    encoded: FilmShots, pairs: PairsBySplit, modality: ModalityChoice
) -> Callable[[str, str], Float32s]:
    def read_features(form: str, split: str) -> Float32s:
        return _FORMS[form](*_gather_pairs(encoded, pairs[split], lambda shots: shots.select_features(modality)))

    return read_features


def _gather_pairs(
    encoded: FilmShots, pairs: Sequence[ShotPair], select: Callable[[EncodedShots], Float32s]
) -> tuple[Float32s, Float32s]:
    """Return what `select` returns for the pairs' first shots, and for their second shots."""
    arrays = {imdb_id: select(shots) for imdb_id, (_, shots) in encoded.items()}
    row_of = {imdb_id: numbers for imdb_id, (numbers, _) in encoded.items()}
    first = [arrays[pair.imdb_id][row_of[pair.imdb_id][pair.first]] for pair in pairs]
    second = [arrays[pair.imdb_id][row_of[pair.imdb_id][pair.second]] for pair in pairs]
    return np.stack(first), np.stack(second)


def _stack_labels(pairs: Sequence[ShotPair]) -> Bools:
    return np.array([pair.matches for pair in pairs], np.bool_)


def _select_split(lists: MatchCutLists, pairs: Sequence[ShotPair], split: str) -> list[ShotPair]:
    films_of_split = set(lists.splits[split])
    return [pair for pair in pairs if pair.imdb_id in films_of_split]
