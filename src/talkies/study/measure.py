"""The measures of a model on unseen films, and their chance levels.

Shapes: `F` unseen films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.descriptors.film_probe import measure_film_accuracies
from talkies.core import MODALITIES
from talkies.evaluation.film_tasks.concepts import FilmsWithTruth, probe_concepts, probe_other_films
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.evaluation.film_tasks.retrieval import compute_retrieval_metrics
from talkies.runs import ClipEncoder

MEASURES = {
    "concept_video": "concept accuracy from pictures",
    "concept_audio": "concept accuracy from sound",
    "halves_video": "concept accuracy from pictures, probe fitted on unseen films",
    "halves_audio": "concept accuracy from sound, probe fitted on unseen films",
    "film_video": "film accuracy from pictures",
    "film_audio": "film accuracy from sound",
    "within_film_recall_at_1": "cross-modal recall@1 within the film",
    "across_films_recall_at_1": "cross-modal recall@1 across films",
    "across_films_recall_at_10": "cross-modal recall@10 across films",
    "sounds_accuracy": "class accuracy on clean recordings that no film contained",
}
"""Shares of unseen clips, by name; both directions of retrieval are averaged."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of a model by name, 0 to 1; those of single films, where a measure has them, as `[F]`."""

    shares: dict[str, float]
    of_films: dict[str, tuple[float, ...]]


def measure(unseen: FilmsWithTruth, learnt: FilmsWithTruth, encoder: ClipEncoder, seed: int) -> Measures:
    """Return each measure of `MEASURES` that needs only films.

    Args:
        unseen: Films that the model has not learnt from.
        learnt: Films that the concept probes are fitted on.
        encoder: The model that encoded both.
        seed: The seed of the halvings of the unseen films.

    Raises:
        UsageError: if the films hold too few whole shots.
    """
    fps = encoder.profile.fps
    of_films = {
        f"concept_{modality}": tuple(map(float, probe_other_films(learnt, unseen, fps, modality)))
        for modality in MODALITIES
    }
    shares = {name: float(np.mean(values)) for name, values in of_films.items()}
    halves = probe_concepts(unseen.films, unseen.truth, fps, seed)
    shares |= {f"halves_{modality}": halves[f"{modality}_accuracy"].mean for modality in MODALITIES}
    shares |= _probe_films(unseen.films, encoder)
    retrieval, _ = compute_retrieval_metrics(unseen.films)
    for name in ("within_film_recall_at_1", "across_films_recall_at_1", "across_films_recall_at_10"):
        gallery, _, recall = name.partition("_recall")
        both = [retrieval[f"{gallery}_{way}_recall{recall}"].mean for way in ("video_to_audio", "audio_to_video")]
        shares[name] = sum(both) / 2
    return Measures(shares, of_films)


def _probe_films(films: Sequence[EncodedFilm], encoder: ClipEncoder) -> dict[str, float]:
    """Return how well a probe tells which film a clip is from, by measure."""
    starts = [np.array([request.window.start_frame for request in film.requests], np.int64) for film in films]
    rows = {
        "video": [film.encoded.video_BE.numpy() for film in films],
        "audio": [film.encoded.audio_BE.numpy() for film in films],
    }
    return {
        f"film_{modality}": float(
            np.mean(measure_film_accuracies(features, starts, encoder.shape.window_frames, encoder.profile.fps))
        )
        for modality, features in rows.items()
    }


def compute_chances(clips: Sequence[int], concepts: int, classes: int | None) -> dict[str, float]:
    """Return the chance level of each measure, for films with the given numbers of clips and `concepts` concepts."""
    levels = {f"{probe}_{modality}": 1 / concepts for probe in ("concept", "halves") for modality in MODALITIES}
    levels |= {f"film_{modality}": 1 / len(clips) for modality in MODALITIES}
    levels |= {
        "within_film_recall_at_1": sum(1 / each for each in clips) / len(clips),
        "across_films_recall_at_1": 1 / sum(clips),
        "across_films_recall_at_10": min(1.0, 10 / sum(clips)),
    }
    return levels | ({"sounds_accuracy": 1 / classes} if classes else {})
