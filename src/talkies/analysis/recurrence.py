"""How often, and at what distances in time, a film's kinds of clips come back.

Shapes: `N` clips in the order of time, `C` cells of a plot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from talkies.core import Float64s, Int64s


@dataclass(frozen=True, slots=True)
class Visit:
    """A run of clips of one cluster: from the beginning of the first to the end of the last."""

    cluster: int
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of clips that begin `[from_seconds, to_seconds)` apart: how many, and the share of one cluster."""

    from_seconds: float
    to_seconds: float
    pairs: int
    share: float | None


def visits(label_N: Int64s, start_N: Float64s, clip_seconds: float) -> list[Visit]:
    """Return the visits of a film, in order."""
    found: list[Visit] = []
    for label, start in zip(label_N.tolist(), start_N.tolist(), strict=True):
        if found and found[-1].cluster == label:
            found[-1] = Visit(label, found[-1].start_seconds, start + clip_seconds)
        else:
            found.append(Visit(label, start, start + clip_seconds))
    return found


def returns(found: Sequence[Visit]) -> list[float]:
    """Return the time from the end of each visit to the beginning of the next one of its cluster, in seconds."""
    last: dict[int, float] = {}
    distances = []
    for visit in found:
        if visit.cluster in last:
            distances.append(visit.start_seconds - last[visit.cluster])
        last[visit.cluster] = visit.end_seconds
    return distances


def returning_share(found: Sequence[Visit]) -> float:
    """Return the share of the clusters that have more than one visit."""
    clusters = [visit.cluster for visit in found]
    return float(np.mean([clusters.count(cluster) > 1 for cluster in set(clusters)]))


def same_share(label_N: Int64s) -> float:
    """Return the share of the pairs of clips that are of one cluster."""
    counts, clips = np.bincount(label_N), len(label_N)
    return float((counts * (counts - 1)).sum() / (clips * (clips - 1)))


def same_share_between(label_N: Int64s, start_N: Float64s, edges: Sequence[float]) -> list[Pairs]:
    """Return the share of pairs of one cluster by how far apart they begin, between each two neighbouring edges."""
    first, second = np.triu_indices(len(label_N), 1)
    apart = np.abs(start_N[second] - start_N[first])
    same = label_N[first] == label_N[second]
    found = []
    for low, high in pairwise(edges):
        there = (apart >= low - 1e-9) & (apart < high - 1e-9)
        pairs = int(there.sum())
        found.append(Pairs(low, high, pairs, float(same[there].mean()) if pairs else None))
    return found


def distance_edges(clip_seconds: float, film_seconds: float) -> list[float]:
    """Return edges of distances for a curve: each clip's length until 16, then wider by a quarter, to the film's."""
    edges, step = [clip_seconds], clip_seconds
    while edges[-1] < film_seconds:
        step = clip_seconds if edges[-1] < 16 * clip_seconds else max(step, edges[-1] / 4)
        edges.append(edges[-1] + step)
    return edges


def similarity_cells(
    kernel_NN: Float64s, start_N: Float64s, film_seconds: float, most: int
) -> list[list[float | None]]:
    """Return a recurrence plot: the timeline cut into at most `most` cells, the mean similarity of each two.

    Where no clip lies there is nothing.
    """
    count = min(most, len(start_N))
    cell_N = np.minimum((start_N / film_seconds * count).astype(np.int64), count - 1)
    member_NC = np.eye(count)[cell_N]
    size_C = member_NC.sum(0)
    pairs_CC = np.outer(size_C, size_C)
    sum_CC = member_NC.T @ kernel_NN @ member_NC
    return [
        [round(float(total / pairs), 2) if pairs else None for total, pairs in zip(totals, counts, strict=True)]
        for totals, counts in zip(sum_CC, pairs_CC, strict=True)
    ]
