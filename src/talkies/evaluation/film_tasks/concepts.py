"""Linear probe of the concepts of rendered films: fitted on half of the films, tested on the other half.

Shapes: `N` clips, `E` features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from talkies.core import Float32s, Int64s, Span, UsageError
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.evaluation.results.result import Metric

SPLITS = 5


class TruthShot(BaseModel):
    """A shot of a rendered film, in seconds, and the number of its concept."""

    start_seconds: float
    end_seconds: float
    concept: int


class TruthFilm(BaseModel):
    """A rendered film's file name and shots."""

    file: str
    shots: tuple[TruthShot, ...]


class Truth(BaseModel):
    """What `truth.json` says, as far as it is needed here."""

    concepts: tuple[str, ...]
    films: tuple[TruthFilm, ...]


def read_truth(data: Path) -> Truth:
    """Return the truth beside the films of a rendered folder.

    Raises:
        UsageError: if there is none.
    """
    path = data / "truth.json"
    try:
        return Truth.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{data} has no truth of rendered films ({path.name} is missing or damaged); "
            f"make such a folder with: talkies render {data}"
        ) from error


def concept_of(window: Span, shots: Sequence[TruthShot], fps: int) -> int | None:
    """Return the concept of the one shot that holds a window of frames at `fps`, or nothing if a cut lies inside."""
    start, end = window.start_frame / fps, window.end_frame / fps
    for shot in shots:
        if shot.start_seconds <= start and end <= shot.end_seconds:
            return shot.concept
    return None


def probe_concepts(films: Sequence[EncodedFilm], truth: Truth, fps: int, seed: int) -> dict[str, Metric]:
    """Return the accuracy of either tower's features over `SPLITS` random halvings of the films.

    Raises:
        UsageError: if there are fewer than two films, or the truth lacks one.
    """
    if len(films) < 2:
        raise UsageError(f"the probe is fitted on half of the films and tested on the other half; got {len(films)}")
    shots = {film.file: film.shots for film in truth.films}
    labels = [_labels(film, shots, fps) for film in films]
    random = np.random.default_rng(seed)
    accuracies: dict[str, list[float]] = {"video_accuracy": [], "audio_accuracy": []}
    for _ in range(SPLITS):
        order = random.permutation(len(films))
        halves = order[: len(films) // 2], order[len(films) // 2 :]
        for name in accuracies:
            fit, test = (_gather(films, labels, half, name.removesuffix("_accuracy")) for half in halves)
            accuracies[name].append(_probe(*fit, *test))
    return {name: Metric.of(values) for name, values in accuracies.items()}


def _labels(film: EncodedFilm, shots: Mapping[str, Sequence[TruthShot]], fps: int) -> Int64s:
    if film.name not in shots:
        raise UsageError(
            f"truth.json says nothing of {film.name}; take it out of the folder, or render the folder anew"
        )
    found = [concept_of(request.window, shots[film.name], fps) for request in film.requests]
    return np.array([-1 if concept is None else concept for concept in found], np.int64)


def _gather(
    films: Sequence[EncodedFilm], labels: Sequence[Int64s], chosen: Int64s, tower: str
) -> tuple[Float32s, Int64s]:
    """Return features `[N, E]` and labels `[N]` of the clips without a cut."""
    features_NE = np.concatenate([_features(films[film], tower) for film in chosen])
    labels_N = np.concatenate([labels[film] for film in chosen])
    return features_NE[labels_N >= 0], labels_N[labels_N >= 0]


def _features(film: EncodedFilm, tower: str) -> Float32s:
    encoded = film.encoded
    return (encoded.video_BE if tower == "video" else encoded.audio_BE).numpy()


def _probe(
    fit_NE: Float32s,
    fit_N: Int64s,
    test_NE: Float32s,
    test_N: Int64s,
) -> float:
    if len(np.unique(fit_N)) < 2 or not len(test_N):
        raise UsageError("the films hold too few whole shots for a probe; render longer films, or more of them")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return float(classifier.fit(fit_NE, fit_N).score(test_NE, test_N))
