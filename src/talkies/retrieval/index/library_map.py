"""A map of a library: clips as points of a plane, those that are alike near each other.

The plane is t-SNE's (van der Maaten and Hinton 2008), begun from the principal components, so that the same rows always
give the same map.
"""

import warnings
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from talkies.config import Config
from talkies.core import Float32s, Float64s, Modality
from talkies.library import Library, write_json
from talkies.retrieval.index.ann import sample
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex

MOST_POINTS = 1_200
_LEAST_FOR_TSNE = 12
_PERPLEXITY = 30.0


class MapPoint(Config):
    """A clip on the map: its film, its span in seconds, and where it lies, 0 to 1 across and down."""

    film_id: str
    start_seconds: float
    end_seconds: float
    x: float
    y: float


class _Map(Config):
    version: int
    points: tuple[MapPoint, ...]


def map_of(library: Library, stamp: str, side: Modality) -> list[MapPoint]:
    """Return the map of a set by one side: all clips, or so many spread evenly over the library.

    It is kept beside the set, where that can be written, until the set changes.

    Raises:
        LibraryError: if there is no such set.
    """
    index = VectorIndex(library)
    index.choose(stamp)
    path, table = index.folder / f"{stamp}.map-{side}.json", index.table(stamp, still=True)
    try:
        known = _Map.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # none yet, or not one of ours: it can be made anew
        known = None
    if known is None or known.version != table.version:
        rows = sample(table, MOST_POINTS)
        points = _points(rows, rows.video_BD if side == "video" else rows.audio_BD)
        known = _Map(version=table.version, points=tuple(points))
        with suppress(OSError):  # a library that may only be read
            write_json(path, known)
    return list(known.points)


def _points(rows: IndexRows, vectors_BD: Float32s) -> list[MapPoint]:
    place_B2 = plane_of(vectors_BD).round(4)
    return [
        MapPoint(film_id=str(film), start_seconds=start, end_seconds=end, x=x, y=y)
        for film, start, end, (x, y) in zip(
            rows.film_B, rows.start_B.tolist(), rows.end_B.tolist(), place_B2.tolist(), strict=True
        )
    ]


def plane_of(vectors_BD: Float32s) -> Float64s:
    """Return places `[B, 2]` from 0 to 1."""
    if len(vectors_BD) < 2:
        return np.full((len(vectors_BD), 2), 0.5)
    centred = vectors_BD.astype(np.float64) - vectors_BD.mean(0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    place_B2 = np.zeros((len(vectors_BD), 2))
    axes = min(2, len(spread))
    place_B2[:, :axes] = left[:, :axes] * spread[:axes]
    if len(vectors_BD) >= _LEAST_FOR_TSNE and spread[0] > 0:
        from sklearn.manifold import TSNE

        start_B2 = place_B2 / max(place_B2[:, 0].std(), 1e-12) * 1e-4
        perplexity = min(_PERPLEXITY, (len(vectors_BD) - 1) / 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tsne = TSNE(2, perplexity=perplexity, init=start_B2.astype(np.float32), metric="cosine", random_state=0)
            place_B2 = tsne.fit_transform(vectors_BD).astype(np.float64)
    low_2, high_2 = place_B2.min(0), place_B2.max(0)
    scaled_B2: Float64s = (place_B2 - low_2) / np.maximum(high_2 - low_2, 1e-12)
    return scaled_B2
