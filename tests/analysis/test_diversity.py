"""Known answers and invariances of the effective number and the Vendi score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.analysis.diversity import cosine_matrix, effective_number, vendi_score

COUNTS = st.lists(st.integers(1, 50), min_size=1, max_size=12)
ROWS = st.tuples(st.integers(2, 12), st.integers(1, 6), st.integers(0, 10_000)).map(
    lambda key: np.random.default_rng(key[2]).normal(size=key[:2])
)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_n_things_alike_in_number_count_n(count: int) -> None:
    assert effective_number([5] * count) == pytest.approx(count)


def test_a_share_of_nothing_counts_nothing() -> None:
    assert effective_number([3, 0, 3]) == pytest.approx(2)


@given(COUNTS)
def test_the_effective_number_lies_between_one_and_the_number(counts: list[int]) -> None:
    assert 1 - 1e-9 <= effective_number(counts) <= len(counts) + 1e-9
    assert effective_number(counts) == pytest.approx(effective_number([3 * count for count in counts[::-1]]))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_vendi_score_of_n_orthogonal_rows_is_n(count: int) -> None:
    assert vendi_score(cosine_matrix(np.eye(count))) == pytest.approx(count)


@pytest.mark.parametrize("row", [[1.0, 2.0], [0.0, 0.0]])
def test_the_vendi_score_of_rows_that_are_the_same_is_one(row: list[float]) -> None:
    assert vendi_score(cosine_matrix(np.array([row] * 6))) == pytest.approx(1)


def test_the_vendi_score_of_groups_is_their_effective_number() -> None:
    groups = np.repeat(np.eye(3), [6, 3, 1], axis=0)
    assert vendi_score(cosine_matrix(groups)) == pytest.approx(effective_number([6, 3, 1]))


@settings(max_examples=30)
@given(ROWS)
def test_turning_scaling_and_reordering_rows_change_no_score(row_NE: np.ndarray) -> None:
    random = np.random.default_rng(0)
    turn_EE = np.linalg.qr(random.normal(size=(row_NE.shape[1],) * 2))[0]
    score = vendi_score(cosine_matrix(row_NE))
    assert score == pytest.approx(vendi_score(cosine_matrix(3 * row_NE @ turn_EE)), rel=1e-6)
    assert score == pytest.approx(vendi_score(cosine_matrix(random.permutation(row_NE))), rel=1e-6)
    assert 1 - 1e-9 <= score <= min(row_NE.shape) + 1e-6
