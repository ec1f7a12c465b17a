"""The number of clusters is that which was planted, and one where none was."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from talkies.analysis.clusters import cluster_clips, list_cluster_counts, renumber_labels, silhouette


def planted(kinds: int, each: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    label_N = random.permutation(np.repeat(np.arange(kinds), each))
    return random.normal(size=(kinds, 24))[label_N] + noise * random.normal(size=(kinds * each, 24)), label_N


@pytest.mark.parametrize("kinds", [2, 3, 5, 8, 12])
def test_planted_kinds_are_found(kinds: int) -> None:
    row_NE, label_N = planted(kinds, 8, noise=0.15)
    found = cluster_clips(row_NE, seed=0)
    assert found.count == kinds
    assert adjusted_rand_score(label_N, found.label_N) == 1
    assert found.silhouette > found.silhouette_by_chance


def test_noise_has_one_kind_nineteen_times_in_twenty() -> None:
    counts = [cluster_clips(np.random.default_rng(seed).normal(size=(40, 10)), seed=0).count for seed in range(12)]
    assert counts.count(1) >= 10


@pytest.mark.parametrize("rows", [np.zeros((12, 4)), np.ones((12, 4)), np.eye(5)])
def test_clips_that_are_the_same_or_too_few_have_one_kind(rows: np.ndarray) -> None:
    assert cluster_clips(rows, seed=0).count == 1


def test_the_seed_alone_decides_what_is_drawn() -> None:
    row_NE, _ = planted(4, 8, noise=0.5)
    first, again, other = (cluster_clips(row_NE, seed) for seed in (0, 0, 1))
    assert first.silhouette_by_chance == again.silhouette_by_chance != other.silhouette_by_chance
    assert first.silhouette == other.silhouette


def test_the_silhouette_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    row_NE = random.normal(size=(30, 4))
    label_N = np.append(random.integers(0, 4, 29), 4)  # the last is alone
    distance_NN = squareform(pdist(row_NE))
    assert silhouette(distance_NN, label_N) == pytest.approx(
        silhouette_score(distance_NN, label_N, metric="precomputed")
    )


def test_labels_are_numbered_as_they_come() -> None:
    assert renumber_labels(np.array([7, 7, 2, 9, 2])).tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize(("clips", "most"), [(8, 2), (36, 12), (1000, 64)])
def test_the_grid_ends_at_a_third_of_the_clips(clips: int, most: int) -> None:
    counts = list_cluster_counts(clips)
    assert (counts[0], counts[-1]) == (2, most)
    assert counts == sorted(set(counts))
