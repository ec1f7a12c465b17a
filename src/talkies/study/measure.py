"""The measures of a model on unseen films, and their chance levels."""

from collections.abc import Sequence

import numpy as np

from talkies.analysis.descriptors.film_probe import measure_film_accuracies
from talkies.evaluation.film_tasks.concepts import Truth, probe_concepts
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.evaluation.film_tasks.retrieval import compute_retrieval_metrics
from talkies.runs import ClipEncoder

MEASURES = {
    "concept_video": "concept accuracy from pictures",
    "concept_audio": "concept accuracy from sound",
    "film_video": "film accuracy from pictures",
    "film_audio": "film accuracy from sound",
    "within_film_recall_at_1": "cross-modal recall@1 within the film",
    "across_films_recall_at_1": "cross-modal recall@1 across films",
    "across_films_recall_at_10": "cross-modal recall@10 across films",
    "sounds_accuracy": "class accuracy on held-out recordings",
}
"""Shares of unseen clips, by name; both directions of retrieval are averaged."""


def measure(films: Sequence[EncodedFilm], truth: Truth, encoder: ClipEncoder, seed: int) -> dict[str, float]:
    """Return each measure of `MEASURES` that needs only films, 0 to 1; `seed` halves the films for the concept probe.

    Raises:
        UsageError: if the films hold too few whole shots.
    """
    concepts = probe_concepts(films, truth, encoder.profile.fps, seed)
    retrieval, _ = compute_retrieval_metrics(films)
    starts = [np.array([request.window.start_frame for request in film.requests], np.int64) for film in films]
    film_accuracies = {
        modality: np.mean(measure_film_accuracies(rows, starts, encoder.shape.window_frames, encoder.profile.fps))
        for modality, rows in (
            ("video", [film.encoded.video_BE.numpy() for film in films]),
            ("audio", [film.encoded.audio_BE.numpy() for film in films]),
        )
    }
    measures = {f"concept_{modality}": concepts[f"{modality}_accuracy"].mean for modality in ("video", "audio")}
    measures |= {f"film_{modality}": float(share) for modality, share in film_accuracies.items()}
    for name in ("within_film_recall_at_1", "across_films_recall_at_1", "across_films_recall_at_10"):
        gallery, _, recall = name.partition("_recall")
        both = [retrieval[f"{gallery}_{way}_recall{recall}"].mean for way in ("video_to_audio", "audio_to_video")]
        measures[name] = sum(both) / 2
    return measures


def compute_chances(clips: Sequence[int], concepts: int, classes: int | None) -> dict[str, float]:
    """Return the chance level of each measure, for films with the given numbers of clips and `concepts` concepts."""
    levels = {
        "concept_video": 1 / concepts,
        "concept_audio": 1 / concepts,
        "film_video": 1 / len(clips),
        "film_audio": 1 / len(clips),
        "within_film_recall_at_1": sum(1 / each for each in clips) / len(clips),
        "across_films_recall_at_1": 1 / sum(clips),
        "across_films_recall_at_10": min(1.0, 10 / sum(clips)),
    }
    return levels | ({"sounds_accuracy": 1 / classes} if classes else {})
