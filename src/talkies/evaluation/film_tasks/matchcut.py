"""Does a cut from one shot of a film to another match, by frame or by motion?

Netflix' data and metric; see `film_tasks.matchcut_data` for its lists. Zero-shot, and by a classifier of the pair.

Shapes: `N` pairs, `E` features, `F` features of a pair.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from talkies.core import Bools, Float32s, Float64s
from talkies.evaluation.film_tasks.films import OnFilm, chosen_films, films_by_imdb_id, judged, protocol_of
from talkies.evaluation.film_tasks.fitting import CLASSIFIER, average_precision, check_labels, fit_on_validation
from talkies.evaluation.film_tasks.matchcut_data import (
    RANGES,
    SPLITS,
    TASKS,
    MatchCutLists,
    ShotPair,
    hashes_of_matchcut,
    read_matchcut,
)
from talkies.evaluation.film_tasks.shots import CLIPS_OF_A_SHOT, TIES, ShotRows, check_shots, cosines, encode_shots
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

TOWERS = ("video", "audio", "both")
_FORMS: dict[str, Callable[[Float32s, Float32s], Float32s]] = {
    "mean": lambda one, other: (one + other) * np.float32(0.5),
    "concat": lambda one, other: np.concatenate([one, other], axis=1),
    "abs_diff": lambda one, other: np.abs(one - other),
}

_METHOD = {
    "clips_of_a_shot": CLIPS_OF_A_SHOT,
    "zero_shot": f"cosine of the two shots' embeddings, to {TIES} decimals; both: the mean of the towers' cosines",
    "classifier": f"{CLASSIFIER}, of the two shots' {', '.join(_FORMS)}; chosen by average precision on the validation "
    "films; fitted once (the published figures take the best of 5 bootstraps)",
    "metric": "average precision over all labelled pairs of the test films, equal scores taken together",
    "random_negatives": "left out as in the published figures; added to the test pairs in the metrics named so",
}

FilmShots = Mapping[str, tuple[Mapping[int, int], ShotRows]]
"""By IMDb id: which row a shot's number has, and the rows."""


def matchcut(encoder: ClipEncoder, data: Path, on_film: OnFilm | None = None, *, allow_missing: bool = False) -> Result:
    """Return the average precision of frame and motion match cuts among the labelled pairs of the test films.

    Raises:
        UsageError: if lists or films are missing (unless that is allowed), are of another version, or do not belong
            together.
        MediaError: if a film is damaged, or lacks pictures or sound.
    """
    lists = read_matchcut(data)
    wanted = [imdb_id for split in SPLITS for imdb_id in lists.splits[split]]
    films, completeness = chosen_films(films_by_imdb_id(data, encoder), wanted, data, allow_missing)
    for imdb_id, facts in judged(films).items():
        shots = sorted(lists.shots[imdb_id].values(), key=lambda shot: shot.start_seconds)
        check_shots(shots, films[imdb_id], facts, str(data / "data" / RANGES))
    pairs = pairs_by_split(lists, films)
    for task, split_pairs in pairs.items():
        check_labels({split: _labels(some) for split, some in split_pairs.items()}, f"{task} match cuts")
    encoded: dict[str, tuple[Mapping[int, int], ShotRows]] = {}
    for imdb_id, film in films.items():
        numbers = sorted(lists.shots[imdb_id])
        rows = encode_shots(encoder, film, [lists.shots[imdb_id][number] for number in numbers])
        encoded[imdb_id] = {number: row for row, number in enumerate(numbers)}, rows
        if on_film:
            on_film(film.name, len(films))
    drawn = [pair for pair in lists.random_negatives if pair.imdb_id in films]
    metrics, chance, chosen = matchcut_metrics(encoded, pairs, _of_split(lists, drawn, "test"))
    counts = {
        "lists": {split: sum(imdb_id in films for imdb_id in lists.splits[split]) for split in SPLITS},
        "pairs": {task: {split: len(some) for split, some in of.items()} for task, of in pairs.items()},
        "shots": sum(len(numbers) for numbers, _ in encoded.values()),
    }
    protocol = protocol_of(encoder) | completeness | counts | _METHOD | {"chosen": chosen, "chance": chance}
    return Result(task="matchcut", protocol=protocol, metrics=metrics, hashes=hashes_of_matchcut(data))


def pairs_by_split(lists: MatchCutLists, imdb_ids: Collection[str]) -> dict[str, dict[str, list[ShotPair]]]:
    """Return the labelled pairs of these films, by task and split."""
    return {
        task: {
            split: _of_split(lists, [pair for pair in lists.pairs[task] if pair.imdb_id in imdb_ids], split)
            for split in SPLITS
        }
        for task in TASKS
    }


def matchcut_metrics(
    encoded: FilmShots, pairs: Mapping[str, Mapping[str, Sequence[ShotPair]]], drawn: Sequence[ShotPair]
) -> tuple[dict[str, Metric], dict[str, float], dict[str, dict[str, Any]]]:
    """Return average precisions by task, way and tower, the share of matches, and each classifier's chosen setting.

    `drawn` are the test films' pairs drawn by chance, for the second zero-shot figure.
    """
    metrics: dict[str, Metric] = {}
    chance: dict[str, float] = {}
    chosen: dict[str, dict[str, Any]] = {}
    for task, of in pairs.items():
        labels = {split: _labels(some) for split, some in of.items()}
        share = float(labels["test"].mean())
        more = [*of["test"], *drawn]
        for towers in TOWERS:
            name = f"{task}_zero_shot_{towers}_average_precision"
            metrics[name] = Metric.of([average_precision(labels["test"], zero_shot(encoded, of["test"], towers))])
            chance[name] = share
            name = f"{task}_zero_shot_{towers}_average_precision_with_random_negatives"
            metrics[name] = Metric.of([average_precision(_labels(more), zero_shot(encoded, more, towers))])
            chance[name] = float(_labels(more).mean())
        for towers in TOWERS:
            fitted = fit_on_validation(_features(encoded, of, towers), list(_FORMS), labels)
            name = f"{task}_classifier_{towers}_average_precision"
            metrics[name] = Metric.of([average_precision(labels["test"], fitted.scores["test"])])
            chance[name], chosen[name] = share, fitted.setting()
    return metrics, chance, chosen


def zero_shot(encoded: FilmShots, pairs: Sequence[ShotPair], towers: str) -> Float64s:
    """Return the cosine of each pair's shots, `[N]`: of the video's or audio's embeddings, or the mean of both."""
    if towers == "both":
        return (zero_shot(encoded, pairs, "video") + zero_shot(encoded, pairs, "audio")) / 2
    one, other = _sides(encoded, pairs, lambda rows: rows.video_SD if towers == "video" else rows.audio_SD)
    return cosines(one, other)


def _features(
    encoded: FilmShots, pairs: Mapping[str, Sequence[ShotPair]], towers: str
) -> Callable[[str, str], Float32s]:
    def features(form: str, split: str) -> Float32s:
        return _FORMS[form](*_sides(encoded, pairs[split], lambda rows: rows.features(towers)))

    return features


def _sides(
    encoded: FilmShots, pairs: Sequence[ShotPair], part: Callable[[ShotRows], Float32s]
) -> tuple[Float32s, Float32s]:
    """Return what `part` gives of the pairs' first shots and of their second ones."""
    arrays = {imdb_id: part(rows) for imdb_id, (_, rows) in encoded.items()}
    row_of = {imdb_id: numbers for imdb_id, (numbers, _) in encoded.items()}
    first = [arrays[pair.imdb_id][row_of[pair.imdb_id][pair.first]] for pair in pairs]
    second = [arrays[pair.imdb_id][row_of[pair.imdb_id][pair.second]] for pair in pairs]
    return np.stack(first), np.stack(second)


def _labels(pairs: Sequence[ShotPair]) -> Bools:
    return np.array([pair.matches for pair in pairs], np.bool_)


def _of_split(lists: MatchCutLists, pairs: Sequence[ShotPair], split: str) -> list[ShotPair]:
    own = set(lists.splits[split])
    return [pair for pair in pairs if pair.imdb_id in own]
