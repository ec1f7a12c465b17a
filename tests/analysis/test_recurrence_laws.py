"""Recurrence equals a brute-force reference, and has the properties that it must have."""

from itertools import combinations, groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.analysis.recurrence import (
    choose_distance_edges,
    compute_recurrence_plot,
    compute_return_times,
    compute_returning_share,
    compute_same_share,
    compute_same_share_by_distance,
    find_visits,
)

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=30).map(np.array)
CLIP = 2.0


def starts(label_N: np.ndarray) -> np.ndarray:
    return CLIP * np.arange(len(label_N))


def test_a_film_by_hand() -> None:
    label_N = np.array([0, 0, 1, 0, 2, 1])
    found = find_visits(label_N, starts(label_N), CLIP)
    assert [(v.cluster, v.start_seconds, v.end_seconds) for v in found] == [
        (0, 0, 4), (1, 4, 6), (0, 6, 8), (2, 8, 10), (1, 10, 12),
    ]  # fmt: skip
    assert compute_return_times(found) == [2.0, 4.0]
    assert compute_returning_share(found) == pytest.approx(2 / 3)
    assert compute_same_share(label_N) == pytest.approx(4 / 15)


@given(LABELS)
def test_visits_are_the_runs_of_labels(label_N: np.ndarray) -> None:
    found = find_visits(label_N, starts(label_N), CLIP)
    assert [(v.cluster, (v.end_seconds - v.start_seconds) / CLIP) for v in found] == [
        (label, len(list(run))) for label, run in groupby(label_N.tolist())
    ]
    assert len(compute_return_times(found)) == len(found) - len(set(label_N.tolist()))
    assert all(distance >= CLIP for distance in compute_return_times(found))


@given(LABELS, st.integers(1, 4))
def test_shares_by_distance_are_those_of_a_count_by_hand(label_N: np.ndarray, step: int) -> None:
    start_N = starts(label_N)
    edges = np.arange(CLIP, start_N[-1] + CLIP * (step + 1), CLIP * step).tolist()
    for pairs in compute_same_share_by_distance(label_N, start_N, edges):
        same = [
            label_N[i] == label_N[j]
            for i, j in combinations(range(len(label_N)), 2)
            if pairs.from_seconds <= start_N[j] - start_N[i] < pairs.to_seconds
        ]
        assert pairs.pairs == len(same)
        assert pairs.share == (pytest.approx(np.mean(same)) if same else None)


@given(LABELS)
def test_the_curve_covers_every_pair_once_and_averages_to_the_whole(label_N: np.ndarray) -> None:
    curve = compute_same_share_by_distance(label_N, starts(label_N), choose_distance_edges(CLIP, CLIP * len(label_N)))
    assert sum(each.pairs for each in curve) == len(label_N) * (len(label_N) - 1) / 2
    hits = sum(each.pairs * (each.share or 0) for each in curve)
    assert hits / sum(each.pairs for each in curve) == pytest.approx(compute_same_share(label_N))


@given(LABELS, st.permutations(range(5)))
def test_names_of_clusters_and_the_direction_of_time_change_nothing(label_N: np.ndarray, names: list[int]) -> None:
    start_N = starts(label_N)
    renamed = np.array(names)[label_N]
    edges = choose_distance_edges(CLIP, CLIP * len(label_N))
    assert compute_same_share_by_distance(renamed, start_N, edges) == compute_same_share_by_distance(
        label_N, start_N, edges
    )
    assert compute_same_share_by_distance(label_N[::-1], start_N, edges) == compute_same_share_by_distance(
        label_N, start_N, edges
    )
    forth, back = (sorted(compute_return_times(find_visits(each, start_N, CLIP))) for each in (renamed, label_N[::-1]))
    assert forth == pytest.approx(back)


def test_a_recurrence_plot_averages_its_cells_and_leaves_out_what_is_empty() -> None:
    kernel_NN = np.array([[1, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 1]])
    plot = compute_recurrence_plot(kernel_NN, np.array([0.0, 1.0, 9.0]), 12.0, 3)
    assert plot == [[0.75, None, 0.1], [None, None, None], [0.1, None, 1.0]]
