"""A linear probe of the concepts of rendered films: fitted on half of the films, tested on the other half.

Shapes: `N` clips, `E` features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from talkies.clips.film_pass import OnFilm
from talkies.core import MODALITIES, Float32s, Float64s, Int64s, Modality, Span, UsageError, escape_controls
from talkies.evaluation.film_tasks.base import FolderTask, describe_encoder
from talkies.evaluation.film_tasks.encode_films import EncodedFilm, encode_films
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

SPLITS = 5
_SEED = 0
_TOO_FEW_SHOTS = "the films hold too few whole shots for a probe; render longer films, or more of them"


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
    """The part of `truth.json` that the probe needs."""

    concepts: tuple[str, ...]
    films: tuple[TruthFilm, ...]


class SyntheticConceptsTask(FolderTask):
    """The accuracy of a linear probe of the concept that a clip of a rendered film shows."""

    name = "synthetic-concepts"
    needs = "a folder that talkies render made: films and truth.json"

    def _measure_folder(self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
        truth = read_truth(data)
        stride_frames = encoder.shape.window_frames
        films = encode_films(encoder, data, stride_frames, on_film)
        metrics = probe_concepts(films, truth, encoder.profile.fps, _SEED, modalities=encoder.modalities)
        chance = 1 / len(truth.concepts)
        protocol = describe_encoder(encoder, stride_frames) | {
            "films": len(films),
            "clips": sum(len(film.requests) for film in films),
            "classifier": "logistic regression (L2, C = 0.1) on standardised encoder features, clips without a cut",
            "splits": f"{SPLITS} random halvings of the films, seed {_SEED}",
            "chance": {f"{modality}_accuracy": chance for modality in encoder.modalities},
        }
        return Result(task=self.name, protocol=protocol, metrics=metrics)


def read_truth(data: Path) -> Truth:
    """Return the truth of a folder of rendered films.

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


def find_concept(window: Span, shots: Sequence[TruthShot], fps: int) -> int | None:
    """Return the concept of the shot that holds a whole window of frames, or `None` if a cut is inside the window.

    Args:
        window: The window, in frames of a grid of `fps` frames a second.
        shots: The film's shots, in seconds.
        fps: The frames of the grid in a second.
    """
    start_seconds, end_seconds = window.start_frame / fps, window.end_frame / fps
    for shot in shots:
        if shot.start_seconds <= start_seconds and end_seconds <= shot.end_seconds:
            return shot.concept
    return None


def probe_concepts(
    films: Sequence[EncodedFilm],
    truth: Truth,
    fps: int,
    seed: int,
    *,
    modalities: Sequence[Modality] = MODALITIES,
) -> dict[str, Metric]:
    """Return the probe's accuracy on the features of each modality, over `SPLITS` random halvings of the films.

    Args:
        films: The encoded films.
        truth: Which concept each shot shows.
        fps: The frames of the grid in a second.
        seed: The seed of the halvings.
        modalities: The modalities that the encoder has.

    Raises:
        UsageError: if there are fewer than two films, or the truth lacks one.
    """
    if len(films) < 2:
        raise UsageError(f"the probe is fitted on half of the films and tested on the other half; got {len(films)}")
    labels = _label_films(films, truth, fps)

    random = np.random.default_rng(seed)
    accuracies: dict[Modality, list[float]] = {modality: [] for modality in modalities}
    for _ in range(SPLITS):
        order = random.permutation(len(films))
        fit_films, test_films = order[: len(films) // 2], order[len(films) // 2 :]
        for modality in modalities:
            fit_NE, fit_N = _gather_clips(films, labels, fit_films, modality)
            test_NE, test_N = _gather_clips(films, labels, test_films, modality)
            accuracies[modality].append(float(_score_clips(fit_NE, fit_N, test_NE, test_N).mean()))

    return {f"{modality}_accuracy": Metric.of(values) for modality, values in accuracies.items()}


@dataclass(frozen=True, slots=True)
class FilmsWithTruth:
    """Encoded films and the truth of what they show."""

    films: Sequence[EncodedFilm]
    truth: Truth


def probe_other_films(fit: FilmsWithTruth, test: FilmsWithTruth, fps: int, modality: Modality) -> Float64s:
    """Return the probe's accuracy on each film of `test`, `[F]`, when it is fitted on all films of `fit`.

    Raises:
        UsageError: if a film of `test` has no clip without a cut, `fit` shows too little, or a truth lacks a film.
    """
    fit_labels, test_labels = _label_films(fit.films, fit.truth, fps), _label_films(test.films, test.truth, fps)
    fit_NE, fit_N = _gather_clips(fit.films, fit_labels, np.arange(len(fit.films)), modality)
    test_NE, test_N = _gather_clips(test.films, test_labels, np.arange(len(test.films)), modality)
    right_N = _score_clips(fit_NE, fit_N, test_NE, test_N)
    counts = [int((labels >= 0).sum()) for labels in test_labels]
    if not all(counts):
        raise UsageError(_TOO_FEW_SHOTS)
    return np.array([part.mean() for part in np.split(right_N, np.cumsum(counts)[:-1])])


def _label_films(films: Sequence[EncodedFilm], truth: Truth, fps: int) -> list[Int64s]:
    shots = {film.file: film.shots for film in truth.films}
    return [_label_clips(film, shots, fps) for film in films]


def _label_clips(film: EncodedFilm, shots: Mapping[str, Sequence[TruthShot]], fps: int) -> Int64s:
    """Return the concept of each clip, `[N]`; -1 where a cut is inside the clip."""
    if film.name not in shots:
        raise UsageError(
            f"truth.json does not mention {escape_controls(film.name)}; take it out of the folder, or render the "
            "folder again"
        )
    concepts = [find_concept(request.window, shots[film.name], fps) for request in film.requests]
    return np.array([-1 if concept is None else concept for concept in concepts], np.int64)


def _gather_clips(
    films: Sequence[EncodedFilm], labels: Sequence[Int64s], selected: Int64s, modality: Modality
) -> tuple[Float32s, Int64s]:
    """Return features `[N, E]` and labels `[N]` of the clips without a cut, of the films with these numbers."""
    features_NE = np.concatenate([_select_features(films[number], modality) for number in selected])
    labels_N = np.concatenate([labels[number] for number in selected])
    return features_NE[labels_N >= 0], labels_N[labels_N >= 0]


def _select_features(film: EncodedFilm, modality: Modality) -> Float32s:
    encoded = film.encoded
    return (encoded.video_BE if modality == "video" else encoded.audio_BE).numpy()


def _score_clips(fit_NE: Float32s, fit_N: Int64s, test_NE: Float32s, test_N: Int64s) -> Float64s:
    """Return 1 for each test clip that a classifier of the other clips gets right, 0 for the others."""
    if len(np.unique(fit_N)) < 2 or not len(test_N):
        raise UsageError(_TOO_FEW_SHOTS)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    right_N: Float64s = (classifier.fit(fit_NE, fit_N).predict(test_NE) == test_N).astype(np.float64)
    return right_N
