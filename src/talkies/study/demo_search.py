"""Searches over rendered films, checked against their known content."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.core import MODALITIES, Modality, Span
from talkies.evaluation.film_tasks.concepts import Truth, TruthShot, find_concept, read_truth
from talkies.library import Library
from talkies.retrieval.search import Hit, Moment, SearchQuery, SearchResult, search

_BEST = 5
_LEAST_SHOT_SECONDS = 2.0
_QUERY_SHOT = 3  # neither the first shot nor a chosen one


@dataclass(frozen=True, slots=True)
class FoundMoments:
    """One search: its result, the name of the query's concept, and that of each hit (None if it contains a cut)."""

    result: SearchResult
    concept: str
    hit_concepts: tuple[str | None, ...]


def search_by(modality: Modality, library: Path, films: Path, run: Path) -> FoundMoments:
    """Return the search among all pictures for the picture or the sound of one shot of the first film."""
    truth = read_truth(films)
    film = truth.films[0]
    shot = film.shots[min(_QUERY_SHOT, len(film.shots) - 1)]
    result = search(library, _build_query(film.file, shot, modality), run)
    names = tuple(_name(truth, _find_concept_of_hit(library, truth, hit)) for hit in result.hits)
    return FoundMoments(result, truth.concepts[shot.concept], names)


def measure_same_concept(library: Path, films: Path, run: Path) -> tuple[dict[str, float], float]:
    """Return by modality the share of the five best pictures that show the query's concept, and its chance level.

    Each shot of each film is a query once, with the clip in its middle; chance is the concepts' mean share of clips.
    """
    truth, shares = read_truth(films), dict[str, float]()
    for modality in MODALITIES:
        found: list[float] = []
        for film in truth.films:
            for shot in (s for s in film.shots if s.end_seconds - s.start_seconds >= _LEAST_SHOT_SECONDS):
                result = search(library, _build_query(film.file, shot, modality), run)
                same = [_find_concept_of_hit(library, truth, hit) == shot.concept for hit in result.hits]
                found.append(float(np.mean(same)))
        shares[modality] = float(np.mean(found))
    return shares, _compute_chance(truth)


def _build_query(file: str, shot: TruthShot, modality: Modality) -> SearchQuery:
    return SearchQuery(Moment(file, _find_middle(shot)), modality, "video", _BEST, use_threshold=False)


def _find_middle(shot: TruthShot) -> float:
    return (shot.start_seconds + shot.end_seconds) / 2


def _find_concept_of_hit(library: Path, truth: Truth, hit: Hit) -> int | None:
    fps = Library.open(library).profile.fps
    shots = {film.file: film.shots for film in truth.films}[hit.source]
    return find_concept(Span(round(hit.start_seconds * fps), round(hit.end_seconds * fps)), shots, fps)


def _name(truth: Truth, concept: int | None) -> str | None:
    return None if concept is None else truth.concepts[concept]


def _compute_chance(truth: Truth) -> float:
    """Return how often a random picture shows the concept of a random shot, weighted by screen time."""
    seconds = np.zeros(len(truth.concepts))
    queries = np.zeros(len(truth.concepts))
    for film in truth.films:
        for shot in film.shots:
            seconds[shot.concept] += shot.end_seconds - shot.start_seconds
            queries[shot.concept] += 1
    return float((seconds / seconds.sum()) @ (queries / queries.sum()))
