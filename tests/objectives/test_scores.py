"""The summary of each query's scores, and the two terms of the cross-entropy computed from it."""

import math

import pytest
import torch
from slow_contrastive import pairs_of
from torch import Tensor
from torch.nn import functional

from talkies.objectives import ClipPairs, ContrastiveTerms, compute_contrastive_terms, compute_scores

FILMS = [4, 4, 4, 9, 9, 2]
SAME_FILM = torch.tensor(FILMS)[:, None] == torch.tensor(FILMS)[None]
FORMS = pytest.mark.parametrize("block", [None, 1, 4], ids=["whole", "singly", "in blocks"])


def logits(scale: float = 3.0) -> Tensor:
    return torch.randn(6, 6, dtype=torch.float64) * scale


def terms_of(logits_BN: Tensor, pairs: ClipPairs, block: int | None) -> ContrastiveTerms:
    """The terms of these scores: with candidates that are unit vectors, the queries' rows are the scores."""
    return compute_contrastive_terms(
        compute_scores(logits_BN, torch.eye(logits_BN.shape[1], dtype=logits_BN.dtype), pairs, block)
    )


def whole_of(terms: ContrastiveTerms) -> Tensor:
    return terms.within_film_B + terms.which_film_B


@FORMS
def test_the_parts_add_up_to_the_cross_entropy(block: int | None) -> None:
    scores = logits()
    whole = functional.cross_entropy(scores, torch.arange(6), reduction="none")
    torch.testing.assert_close(whole_of(terms_of(scores, pairs_of(FILMS), block)), whole, rtol=0, atol=1e-10)


@FORMS
def test_the_parts_of_a_later_ranks_queries_add_up_to_their_cross_entropy(block: int | None) -> None:
    scores, all_ = logits(), pairs_of(FILMS)
    later = ClipPairs(all_.film_N[3:], all_.start_N[3:], all_.film_N, all_.start_N, 3)
    terms, expected = terms_of(scores[3:], later, block), terms_of(scores, all_, None)
    whole = functional.cross_entropy(scores, torch.arange(6), reduction="none")
    torch.testing.assert_close(whole_of(terms), whole[3:], rtol=0, atol=1e-10)
    torch.testing.assert_close(terms.within_film_B, expected.within_film_B[3:], rtol=0, atol=1e-10)


@FORMS
def test_the_within_film_part_does_not_see_other_films(block: int | None) -> None:
    scores = logits()
    moved = torch.where(SAME_FILM, scores, scores + 5)
    before, after = (terms_of(s, pairs_of(FILMS), block) for s in (scores, moved))
    assert torch.equal(after.within_film_B, before.within_film_B)
    assert (after.which_film_B > before.which_film_B).all()


def test_the_which_film_part_does_not_see_which_clip_of_the_film_is_right() -> None:
    scores, rolled = logits(), torch.tensor([1, 2, 0, 4, 3, 5])
    before, after = (terms_of(s, pairs_of(FILMS), None) for s in (scores, scores[:, rolled]))
    torch.testing.assert_close(after.which_film_B, before.which_film_B, rtol=0, atol=1e-12)
    assert not torch.allclose(after.within_film_B[:5], before.within_film_B[:5])


@FORMS
def test_with_one_clip_a_film_the_within_film_part_is_exactly_zero(block: int | None) -> None:
    scores = logits().float().requires_grad_()
    terms = terms_of(scores, pairs_of(range(6)), block)
    assert torch.equal(terms.within_film_B, torch.zeros(6))
    (gradient,) = torch.autograd.grad(terms.within_film_B.sum(), scores)
    assert not gradient.any()


@FORMS
def test_with_one_film_the_which_film_part_is_exactly_zero(block: int | None) -> None:
    scores = logits().float().requires_grad_()
    terms = terms_of(scores, pairs_of([0] * 6), block)
    assert torch.equal(terms.which_film_B, torch.zeros(6))
    (gradient,) = torch.autograd.grad(terms.which_film_B.sum(), scores)
    assert not gradient.any()


@FORMS
def test_equal_scores_leave_the_entropy_of_a_blind_guess(block: int | None) -> None:
    terms = terms_of(torch.zeros(6, 6, dtype=torch.float64), pairs_of(FILMS), block)
    film_sizes = [3, 3, 3, 2, 2, 1]
    assert terms.within_film_B.tolist() == pytest.approx([math.log(size) for size in film_sizes], abs=1e-12)
    assert terms.which_film_B.tolist() == pytest.approx([math.log(6 / size) for size in film_sizes], abs=1e-12)


@FORMS
def test_terms_and_gradients_stay_finite_for_scores_far_apart(block: int | None) -> None:
    scores = (logits() * 300).float().requires_grad_()
    total = whole_of(terms_of(scores, pairs_of(FILMS), block)).sum()
    (gradient,) = torch.autograd.grad(total, scores)
    assert total.isfinite()
    assert gradient.isfinite().all()
    assert gradient.any()


@FORMS
def test_a_masked_clip_counts_nowhere_however_high_it_scores(block: int | None) -> None:
    pairs = pairs_of([0, 0, 0, 1], [0, 4, 30, 0], masked_frames=5)
    scores = torch.zeros(4, 4)
    scores[0, 1] = 1e4
    scores.requires_grad_()
    terms = terms_of(scores, pairs, block)
    assert terms.within_film_B.tolist() == pytest.approx([math.log(n) for n in (2, 2, 3, 1)], abs=1e-6)
    assert terms.is_best_within_B.tolist() == [False, False, False, True]
    (gradient,) = torch.autograd.grad(whole_of(terms).sum(), scores)
    assert gradient.isfinite().all()
    assert gradient[0, 1] == gradient[1, 0] == 0


@FORMS
def test_retrieval_is_judged_within_the_film_and_between_films(block: int | None) -> None:
    scores = torch.tensor([[3.0, 2.0, 9.0, 0.0], [4.0, 1.0, 0.0, 0.0], [5.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 7.0]])
    terms = terms_of(scores, pairs_of([0, 0, 1, 1]), block)
    assert terms.is_best_within_B.tolist() == [True, False, True, True]
    assert terms.is_film_found_B.tolist() == [False, True, False, True]


@FORMS
def test_a_tie_is_no_success(block: int | None) -> None:
    terms = terms_of(torch.ones(6, 6), pairs_of(FILMS), block)
    assert terms.is_best_within_B.tolist() == [False] * 5 + [True]  # a film's only clip has no rival in it
    assert not terms.is_film_found_B.any()


@FORMS
def test_any_positive_may_be_the_best_of_its_film(block: int | None) -> None:
    scores = torch.tensor([[0.0, 3.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    terms = terms_of(scores, pairs_of([0, 0, 0], [0, 5, 30], positive_frames=5), block)
    assert terms.is_best_within_B.tolist() == [True, False, True]
    assert terms.is_film_found_B.all()  # of no other film is there any clip
