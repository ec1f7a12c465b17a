"""Made films: unit rows drawn at random, in which passages are planted."""

from collections.abc import Mapping, Sequence

import numpy as np

from talkies.retrieval.index import IndexRows
from talkies.retrieval.recurrence.families import FilmSpan
from talkies.retrieval.recurrence.timeline import FilmAnnotations

DIM = 48
Vectors = Mapping[str, np.ndarray]


def drawn(random: np.random.Generator, clips: int) -> np.ndarray:
    """Rows that have nothing to do with each other."""
    return unit(random.normal(size=(clips, DIM)))


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def again(random: np.random.Generator, rows: np.ndarray, noise: float = 0.05) -> np.ndarray:
    """The same rows, as another encoding would have them."""
    return unit(rows + noise * random.normal(size=rows.shape))


def rows_of(films: Vectors, shots: Mapping[str, Sequence[tuple[float, float]]] | None = None) -> IndexRows:
    """Films' clips of a second at each second, with the same vectors on both sides."""
    parts = []
    for film_id, vectors in films.items():
        start = np.arange(len(vectors), dtype=np.float64)
        shot = np.full(len(vectors), -1, np.int32)
        for number, (begin, end) in enumerate((shots or {}).get(film_id, ())):
            shot[(start + 0.5 >= begin) & (start + 0.5 < end)] = number
        name = np.array([film_id] * len(vectors), np.object_)
        parts.append(IndexRows(name, start, start + 1, shot, np.zeros(len(vectors), bool), vectors, vectors))
    return IndexRows.concatenate(parts)


def marked(films: Vectors, **spans: Mapping[str, Sequence[tuple[float, float]]]) -> list[FilmAnnotations]:
    """The films, with spans by kind and film."""
    return [
        FilmAnnotations(film_id, f"{film_id}.mp4", {kind: of[film_id] for kind, of in spans.items() if film_id in of})
        for film_id in films
    ]


def near(place: FilmSpan, film_id: str, start: float, end: float, clips: float = 1.01) -> bool:
    """Whether a place is a span, but for a clip."""
    return (
        place.film_id == film_id and abs(place.start_seconds - start) <= clips and abs(place.end_seconds - end) <= clips
    )
