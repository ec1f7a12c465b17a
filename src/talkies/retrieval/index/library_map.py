"""A map of a library: clips as points in a plane, similar clips near each other.

The plane is that of t-SNE (van der Maaten and Hinton 2008), initialised with the principal components, so that the same
rows always give the same map.

Shapes: `B` clips, `D` embedding.
"""

import warnings
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from talkies.config import Config
from talkies.core import Float32s, Float64s, Modality
from talkies.library import Library, write_json
from talkies.retrieval.index.ann import sample_rows
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex

MAX_POINTS = 1_200
_MIN_TSNE_POINTS = 12
_PERPLEXITY = 30.0


class MapPoint(Config):
    """A clip on the map: its film, its span in seconds, and its coordinates, 0 to 1 across and down."""

    film_id: str
    start_seconds: float
    end_seconds: float
    x: float
    y: float


class _MapDocument(Config):
    version: int
    points: tuple[MapPoint, ...]


def build_map(library: Library, stamp: str, modality: Modality) -> list[MapPoint]:
    """Return the map of a set by one modality: all its clips, or `MAX_POINTS` spread evenly over the library.

    The map is cached next to the set, if the library can be written, until the set changes.

    Raises:
        LibraryError: if there is no such set.
        UsageError: if its model lacks the modality.
    """
    index = VectorIndex(library)
    index.choose(stamp).check_has(modality)
    path, table = index.folder / f"{stamp}.map-{modality}.json", index.open_table(stamp, pinned=True)
    try:
        cached = _MapDocument.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # a missing or foreign file is treated as missing; it can be rebuilt
        cached = None
    if cached is None or cached.version != table.version:
        rows = sample_rows(table, MAX_POINTS)
        points = _place_points(rows, rows.get_vectors(modality))
        cached = _MapDocument(version=table.version, points=tuple(points))
        with suppress(OSError):  # a read-only library
            write_json(path, cached)
    return list(cached.points)


def _place_points(rows: IndexRows, vectors_BD: Float32s) -> list[MapPoint]:
    point_B2 = project_to_plane(vectors_BD).round(4)
    return [
        MapPoint(film_id=str(film), start_seconds=start, end_seconds=end, x=x, y=y)
        for film, start, end, (x, y) in zip(
            rows.film_B, rows.start_B.tolist(), rows.end_B.tolist(), point_B2.tolist(), strict=True
        )
    ]


def project_to_plane(vectors_BD: Float32s) -> Float64s:
    """Return coordinates `[B, 2]` from 0 to 1; few vectors are projected on their principal components only."""
    if len(vectors_BD) < 2:
        return np.full((len(vectors_BD), 2), 0.5)

    # Project on the two principal components.
    centred_BD = vectors_BD.astype(np.float64) - vectors_BD.mean(0)
    left, singular_values, _ = np.linalg.svd(centred_BD, full_matrices=False)
    point_B2 = np.zeros((len(vectors_BD), 2))
    axes = min(2, len(singular_values))
    point_B2[:, :axes] = left[:, :axes] * singular_values[:axes]

    # Refine with t-SNE.
    if len(vectors_BD) >= _MIN_TSNE_POINTS and singular_values[0] > 0:
        from sklearn.manifold import TSNE

        start_B2 = point_B2 / max(point_B2[:, 0].std(), 1e-12) * 1e-4
        perplexity = min(_PERPLEXITY, (len(vectors_BD) - 1) / 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tsne = TSNE(2, perplexity=perplexity, init=start_B2.astype(np.float32), metric="cosine", random_state=0)
            point_B2 = tsne.fit_transform(vectors_BD).astype(np.float64)

    # Scale to the unit square.
    low_2, high_2 = point_B2.min(0), point_B2.max(0)
    scaled_B2: Float64s = (point_B2 - low_2) / np.maximum(high_2 - low_2, 1e-12)
    return scaled_B2
