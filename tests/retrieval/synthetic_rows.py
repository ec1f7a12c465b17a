"""Synthetic films: random unit rows, in which passages are planted."""

from collections.abc import Mapping, Sequence

import numpy as np

from talkies.retrieval.index import IndexRows
from talkies.retrieval.recurrence.families import FilmSpan
from talkies.retrieval.recurrence.timeline import FilmAnnotations

DIM = 48
Vectors = Mapping[str, np.ndarray]


def draw_rows(random: np.random.Generator, clips: int) -> np.ndarray:
    """Return independent random rows."""
    return normalise_rows(random.normal(size=(clips, DIM)))


def normalise_rows(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def add_noise(random: np.random.Generator, rows: np.ndarray, noise: float = 0.05) -> np.ndarray:
    """Return the rows with noise, as another encoding would change them."""
    return normalise_rows(rows + noise * random.normal(size=rows.shape))


def build_rows(films: Vectors, shots: Mapping[str, Sequence[tuple[float, float]]] | None = None) -> IndexRows:
    """Return films' clips of one second every second, with the same vectors for both modalities."""
    parts = []
    for film_id, vectors in films.items():
        start = np.arange(len(vectors), dtype=np.float64)
        shot = np.full(len(vectors), -1, np.int32)
        for number, (begin, end) in enumerate((shots or {}).get(film_id, ())):
            shot[(start + 0.5 >= begin) & (start + 0.5 < end)] = number
        name = np.array([film_id] * len(vectors), np.object_)
        parts.append(IndexRows(name, start, start + 1, shot, np.zeros(len(vectors), bool), vectors, vectors))
    return IndexRows.concatenate(parts)


def annotate_films(films: Vectors, **spans: Mapping[str, Sequence[tuple[float, float]]]) -> list[FilmAnnotations]:
    """Return the films with annotated spans by kind and film."""
    return [
        FilmAnnotations(film_id, f"{film_id}.mp4", {kind: of[film_id] for kind, of in spans.items() if film_id in of})
        for film_id in films
    ]


def is_near(place: FilmSpan, film_id: str, start: float, end: float, clips: float = 1.01) -> bool:
    """Return whether a span is the expected one, within one clip."""
    return (
        place.film_id == film_id and abs(place.start_seconds - start) <= clips and abs(place.end_seconds - end) <= clips
    )
