"""How often, and after how much time, a film's kinds of clips come back.

Shapes: `N` clips in the order of time, `C` cells of a plot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from talkies.analysis.values import PairShare
from talkies.core import Float64s, Int64s


@dataclass(frozen=True, slots=True)
class Visit:
    """A run of clips of one cluster, from the start of the first to the end of the last, in seconds."""

    cluster: int
    start_seconds: float
    end_seconds: float


def find_visits(label_N: Int64s, start_N: Float64s, clip_seconds: float) -> list[Visit]:
    """Return the visits of a film, in order.

    Args:
        label_N: The cluster of each clip, `[N]`.
        start_N: Where each clip starts, `[N]`, in seconds, ascending.
        clip_seconds: The length of a clip.
    """
    visits: list[Visit] = []
    for label, start in zip(label_N.tolist(), start_N.tolist(), strict=True):
        if visits and visits[-1].cluster == label:
            visits[-1] = Visit(label, visits[-1].start_seconds, start + clip_seconds)
        else:
            visits.append(Visit(label, start, start + clip_seconds))
    return visits


def compute_return_times(visits: Sequence[Visit]) -> list[float]:
    """Return the seconds from the end of each visit to the start of the next visit of its cluster."""
    end_of_last: dict[int, float] = {}
    times = []
    for visit in visits:
        if visit.cluster in end_of_last:
            times.append(visit.start_seconds - end_of_last[visit.cluster])
        end_of_last[visit.cluster] = visit.end_seconds
    return times


def compute_returning_share(visits: Sequence[Visit]) -> float:
    """Return the share of the clusters that have more than one visit."""
    clusters = [visit.cluster for visit in visits]
    return float(np.mean([clusters.count(cluster) > 1 for cluster in set(clusters)]))


def compute_same_share(label_N: Int64s) -> float:
    """Return the share of the pairs of clips that are of one cluster, from the cluster of each clip `[N]`."""
    counts, clips = np.bincount(label_N), len(label_N)
    return float((counts * (counts - 1)).sum() / (clips * (clips - 1)))


def compute_same_share_by_distance(label_N: Int64s, start_N: Float64s, edges: Sequence[float]) -> list[PairShare]:
    """Return the share of pairs of one cluster by the distance of their starts.

    Args:
        label_N: The cluster of each clip, `[N]`.
        start_N: Where each clip starts, `[N]`, in seconds.
        edges: Distances in seconds, ascending; each two neighbours are a half-open interval.
    """
    first, second = np.triu_indices(len(label_N), 1)
    apart = np.abs(start_N[second] - start_N[first])
    same = label_N[first] == label_N[second]

    shares = []
    for low, high in pairwise(edges):
        inside = (apart >= low - 1e-9) & (apart < high - 1e-9)
        pairs = int(inside.sum())
        share = float(same[inside].mean()) if pairs else None
        shares.append(PairShare(from_seconds=low, to_seconds=high, pairs=pairs, share=share))
    return shares


def choose_distance_edges(clip_seconds: float, film_seconds: float) -> list[float]:
    """Return the edges of distances for a curve, in seconds.

    The steps are one clip up to 16 clips, and then a quarter of the distance, up to the film's length.
    """
    edges, step = [clip_seconds], clip_seconds
    while edges[-1] < film_seconds:
        step = clip_seconds if edges[-1] < 16 * clip_seconds else max(step, edges[-1] / 4)
        edges.append(edges[-1] + step)
    return edges


def compute_recurrence_plot(
    kernel_NN: Float64s, start_N: Float64s, film_seconds: float, most: int
) -> list[list[float | None]]:
    """Return a recurrence plot: the timeline cut into cells, and the mean similarity of each two cells.

    Args:
        kernel_NN: The similarity of each pair of clips, `[N, N]`.
        start_N: Where each clip starts, `[N]`, in seconds.
        film_seconds: The length of the film.
        most: The largest number of cells.

    Returns:
        Rows of similarities, `[C][C]`; None where a cell has no clip.
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
