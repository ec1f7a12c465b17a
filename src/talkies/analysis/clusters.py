"""How many kinds of clips a film has, chosen from the clips themselves.

Ward's tree is cut into each number of clusters of a grid. The margin of a cut is how far its mean silhouette (Rousseeuw
1987) is above the mean of structureless draws cut into as many; these are normal draws with the variances of the clips
along their principal axes, as in SigClust (Liu et al. 2008). Taken are the fewest clusters that have 95 % of the
largest margin. If no margin is larger than every draw's own, no kinds can be told apart: there is one cluster.

Shapes: `N` clips, `E` numbers, `K` clusters.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from talkies.core import Float64s, Int64s

DRAWS = 19
"""With the clips themselves there are 20: where there is no structure, theirs is the best cut in one case of 20."""
MOST_CLUSTERS = 64
ENOUGH = 0.95
_EACH_UNTIL = 12
_STEP = 1.15


@dataclass(frozen=True, slots=True)
class Clusters:
    """Each clip's cluster, numbered in the order in which they come; the mean silhouette of the best cut (into one
    cluster it is no more than chance), and that of draws cut into as many.
    """

    label_N: Int64s
    silhouette: float
    silhouette_by_chance: float

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.label_N.max()) + 1


def clusters_of(row_NE: Float64s, seed: int) -> Clusters:
    """Return the clusters of a film's clips, in the order of time."""
    nothing = np.zeros(len(row_NE), np.int64)
    counts = grid(len(row_NE))
    deviation_E = np.linalg.svd(row_NE - row_NE.mean(0), compute_uv=False) / np.sqrt(len(row_NE))
    if not counts or deviation_E[0] <= 1e-9:
        return Clusters(nothing, 0.0, 0.0)
    tree = linkage(row_NE, "ward")
    score_K = _silhouettes(row_NE, tree, counts)
    random, axes_E = np.random.default_rng([seed, 3]), deviation_E[deviation_E > 1e-6 * deviation_E[0]]
    draws = (random.normal(size=(len(row_NE), len(axes_E))) * axes_E for _ in range(DRAWS))
    drawn_RK = np.stack([_silhouettes(draw_NE, linkage(draw_NE, "ward"), counts) for draw_NE in draws])
    chance_K = drawn_RK.mean(0)
    margin_K = score_K - chance_K
    best = int((margin_K >= ENOUGH * margin_K.max()).argmax()) if margin_K.max() > 0 else int(margin_K.argmax())
    told = margin_K.max() > (drawn_RK - chance_K).max()
    label_N = in_order(_cut(tree, counts[best])) if told else nothing
    return Clusters(label_N, float(score_K[best]), float(chance_K[best]))


def grid(clips: int) -> list[int]:
    """Return the numbers of clusters that are tried: 2 to 12, then in steps of 15 %, up to a third of the clips."""
    counts, most = [2], min(MOST_CLUSTERS, clips // 3)
    while counts[-1] < most:
        last = counts[-1]
        counts.append(last + 1 if last < _EACH_UNTIL else min(most, round(last * _STEP)))
    return [count for count in counts if count <= most]


def in_order(label_N: Int64s) -> Int64s:
    """Return labels renumbered from 0 in the order in which they first come."""
    _, first, inverse = np.unique(label_N, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def silhouette(distance_NN: Float64s, label_N: Int64s) -> float:
    """Return the mean silhouette of clips in two clusters or more; a clip alone in its cluster counts 0."""
    member_NK = np.eye(int(label_N.max()) + 1)[label_N]
    size_K, rows = member_NK.sum(0), np.arange(len(label_N))
    sum_NK = distance_NN @ member_NK
    own_N = size_K[label_N]
    inside_N = sum_NK[rows, label_N] / np.maximum(own_N - 1, 1)
    mean_NK = sum_NK / size_K
    mean_NK[rows, label_N] = np.inf
    outside_N = mean_NK.min(1)
    most_N = np.maximum(inside_N, outside_N)
    score_N = np.divide(outside_N - inside_N, most_N, out=np.zeros_like(most_N), where=(own_N > 1) & (most_N > 0))
    return float(score_N.mean())


def _cut(tree: Float64s, count: int) -> Int64s:
    label_N: Int64s = fcluster(tree, count, "maxclust").astype(np.int64) - 1
    return label_N


def _silhouettes(row_NE: Float64s, tree: Float64s, counts: list[int]) -> Float64s:
    """Return the mean silhouette of each number of clusters; 0 where the tree cannot be cut."""
    distance_NN = squareform(pdist(row_NE))
    cuts = [_cut(tree, count) for count in counts]
    return np.array([silhouette(distance_NN, label_N) if label_N.max() else 0.0 for label_N in cuts])
