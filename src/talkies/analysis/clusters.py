"""How many kinds of clips a film has: hierarchical clustering with a test against structureless data.

Ward's tree is cut into each number of clusters of a grid. The margin of a cut is its mean silhouette (Rousseeuw 1987)
less the mean silhouette of random draws without structure that are cut into as many clusters. The draws are normal,
with the variances of the clips along their principal axes, as in SigClust (Liu et al. 2008). The smallest number of
clusters with at least 95 % of the largest margin is taken. If no margin is larger than every margin of the draws, no
kinds can be distinguished, and there is one cluster.

Shapes: `N` clips, `E` numbers, `K` numbers of clusters, `R` random draws.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from talkies.core import Float64s, Int64s

DRAWS = 19
"""With the clips there are 20 data sets: without structure, the clips have the best cut in one case of 20."""
MOST_CLUSTERS = 64
ENOUGH_OF_MARGIN = 0.95
_SINGLE_STEPS_UNTIL = 12
_STEP = 1.15


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of a film's clips.

    `label_N` is each clip's cluster, numbered in the order of appearance, `silhouette` the mean silhouette of the best
    cut (which may be no better than chance where there is one cluster), and `silhouette_by_chance` that of the draws
    cut into as many clusters.
    """

    label_N: Int64s
    silhouette: float
    silhouette_by_chance: float

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.label_N.max()) + 1


def cluster_clips(row_NE: Float64s, seed: int) -> Clusters:
    """Return the clusters of a film's clips.

    Args:
        row_NE: The clips' rows `[N, E]`, in the order of time.
        seed: The seed of the random draws.
    """
    one_cluster = np.zeros(len(row_NE), np.int64)
    counts = list_cluster_counts(len(row_NE))
    deviation_E = np.linalg.svd(row_NE - row_NE.mean(0), compute_uv=False) / np.sqrt(len(row_NE))
    if not counts or deviation_E[0] <= 1e-9:
        return Clusters(one_cluster, 0.0, 0.0)

    tree = linkage(row_NE, "ward")
    score_K = _score_cuts(row_NE, tree, counts)

    # Score structureless draws of the same variances.
    random = np.random.default_rng([seed, 3])
    axes_E = deviation_E[deviation_E > 1e-6 * deviation_E[0]]
    draws = (random.normal(size=(len(row_NE), len(axes_E))) * axes_E for _ in range(DRAWS))
    drawn_RK = np.stack([_score_cuts(draw_NE, linkage(draw_NE, "ward"), counts) for draw_NE in draws])

    # Choose the fewest clusters with nearly the largest margin, if that is more than chance.
    chance_K = drawn_RK.mean(0)
    margin_K = score_K - chance_K
    if margin_K.max() > 0:
        best = int((margin_K >= ENOUGH_OF_MARGIN * margin_K.max()).argmax())
    else:
        best = int(margin_K.argmax())
    distinct = margin_K.max() > (drawn_RK - chance_K).max()
    label_N = renumber_labels(_cut_tree(tree, counts[best])) if distinct else one_cluster
    return Clusters(label_N, float(score_K[best]), float(chance_K[best]))


def list_cluster_counts(clips: int) -> list[int]:
    """Return the numbers of clusters to try: 2 to 12, then in steps of 15 %, up to a third of the clips."""
    counts, most = [2], min(MOST_CLUSTERS, clips // 3)
    while counts[-1] < most:
        last = counts[-1]
        counts.append(last + 1 if last < _SINGLE_STEPS_UNTIL else min(most, round(last * _STEP)))
    return [count for count in counts if count <= most]


def renumber_labels(label_N: Int64s) -> Int64s:
    """Return labels `[N]` renumbered from 0 in the order of their first appearance."""
    _, first, inverse = np.unique(label_N, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def silhouette(distance_NN: Float64s, label_N: Int64s) -> float:
    """Return the mean silhouette of clips in two or more clusters; a clip that is alone in its cluster counts 0.

    Args:
        distance_NN: The distance of each pair of clips, `[N, N]`.
        label_N: The cluster of each clip, `[N]`, from 0.
    """
    member_NK = np.eye(int(label_N.max()) + 1)[label_N]
    size_K, rows = member_NK.sum(0), np.arange(len(label_N))
    sum_NK = distance_NN @ member_NK
    own_N = size_K[label_N]

    # Mean distance to the own cluster, and to the nearest other one.
    inside_N = sum_NK[rows, label_N] / np.maximum(own_N - 1, 1)
    mean_NK = sum_NK / size_K
    mean_NK[rows, label_N] = np.inf
    outside_N = mean_NK.min(1)

    most_N = np.maximum(inside_N, outside_N)
    score_N = np.divide(outside_N - inside_N, most_N, out=np.zeros_like(most_N), where=(own_N > 1) & (most_N > 0))
    return float(score_N.mean())


def _cut_tree(tree: Float64s, count: int) -> Int64s:
    label_N: Int64s = fcluster(tree, count, "maxclust").astype(np.int64) - 1
    return label_N


def _score_cuts(row_NE: Float64s, tree: Float64s, counts: list[int]) -> Float64s:
    """Return the mean silhouette of each number of clusters, `[K]`; 0 where the tree cannot be cut."""
    distance_NN = squareform(pdist(row_NE))
    cuts = [_cut_tree(tree, count) for count in counts]
    return np.array([silhouette(distance_NN, label_N) if label_N.max() else 0.0 for label_N in cuts])
