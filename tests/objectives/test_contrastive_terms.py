import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkies.objectives import ContrastiveTerms, contrastive_terms

FILMS = torch.tensor([4, 4, 4, 9, 9, 2])
POSITIVE = torch.arange(6)
SAME_FILM = FILMS[:, None] == FILMS[None]


def logits(scale: float = 3.0) -> Tensor:
    return torch.randn(6, 6, dtype=torch.float64) * scale


def slow_terms(logits_BN: Tensor, positive_B: Tensor, same_film_BN: Tensor) -> tuple[list[float], list[float]]:
    """Both parts of each query from probabilities, number by number."""
    within_film, which_film = [], []
    for query in range(len(logits_BN)):
        of_film = of_all = 0.0
        for candidate in range(logits_BN.shape[1]):
            weight = math.exp(logits_BN[query, candidate].item())
            of_all += weight
            if same_film_BN[query, candidate]:
                of_film += weight
        positive = math.exp(logits_BN[query, positive_B[query]].item())
        within_film.append(-math.log(positive / of_film))
        which_film.append(-math.log(of_film / of_all))
    return within_film, which_film


def close_to_slow_terms(terms: ContrastiveTerms, *arguments: Tensor) -> None:
    within_film, which_film = slow_terms(*arguments)
    assert terms.within_film_B.tolist() == pytest.approx(within_film, rel=0, abs=1e-10)
    assert terms.which_film_B.tolist() == pytest.approx(which_film, rel=0, abs=1e-10)


def test_both_parts_equal_those_from_probabilities_number_by_number() -> None:
    arguments = logits(), POSITIVE, SAME_FILM
    close_to_slow_terms(contrastive_terms(*arguments), *arguments)


def test_both_parts_are_right_for_the_queries_of_a_later_rank() -> None:
    arguments = logits()[3:], POSITIVE[3:], SAME_FILM[3:]
    close_to_slow_terms(contrastive_terms(*arguments), *arguments)


def test_the_parts_add_up_to_the_cross_entropy() -> None:
    scores = logits()
    terms = contrastive_terms(scores, POSITIVE, SAME_FILM)
    whole = functional.cross_entropy(scores, POSITIVE, reduction="none")
    torch.testing.assert_close(terms.within_film_B + terms.which_film_B, whole, rtol=0, atol=1e-10)


def test_the_within_film_part_does_not_see_other_films() -> None:
    scores = logits()
    moved = torch.where(SAME_FILM, scores, scores + 5)
    before, after = (contrastive_terms(s, POSITIVE, SAME_FILM) for s in (scores, moved))
    assert torch.equal(after.within_film_B, before.within_film_B)
    assert (after.which_film_B > before.which_film_B).all()


def test_the_which_film_part_does_not_see_which_clip_of_the_film_is_right() -> None:
    scores = logits()
    rolled = torch.tensor([1, 2, 0, 4, 3, 5])
    before, after = (contrastive_terms(scores, positive, SAME_FILM) for positive in (POSITIVE, rolled))
    assert torch.equal(after.which_film_B, before.which_film_B)
    assert not torch.equal(after.within_film_B, before.within_film_B)


def test_with_one_clip_a_film_the_within_film_part_is_exactly_zero() -> None:
    scores = logits().float().requires_grad_()
    terms = contrastive_terms(scores, POSITIVE, torch.eye(6, dtype=torch.bool))
    assert torch.equal(terms.within_film_B, torch.zeros(6))
    (gradient,) = torch.autograd.grad(terms.within_film_B.sum(), scores)
    assert not gradient.any()


def test_with_one_film_the_which_film_part_is_exactly_zero() -> None:
    scores = logits().float().requires_grad_()
    terms = contrastive_terms(scores, POSITIVE, torch.ones(6, 6, dtype=torch.bool))
    assert torch.equal(terms.which_film_B, torch.zeros(6))
    (gradient,) = torch.autograd.grad(terms.which_film_B.sum(), scores)
    assert not gradient.any()


def test_equal_scores_leave_the_entropy_of_a_blind_guess() -> None:
    terms = contrastive_terms(torch.zeros(6, 6, dtype=torch.float64), POSITIVE, SAME_FILM)
    film_sizes = [3, 3, 3, 2, 2, 1]
    assert terms.within_film_B.tolist() == pytest.approx([math.log(size) for size in film_sizes], abs=1e-12)
    assert terms.which_film_B.tolist() == pytest.approx([math.log(6 / size) for size in film_sizes], abs=1e-12)


def test_gradients_of_both_parts_equal_finite_differences() -> None:
    def parts(scores: Tensor) -> tuple[Tensor, Tensor]:
        terms = contrastive_terms(scores, POSITIVE, SAME_FILM)
        return terms.within_film_B, terms.which_film_B

    assert torch.autograd.gradcheck(parts, (logits(1.0).requires_grad_(),))


def test_terms_and_gradients_stay_finite_for_scores_far_apart() -> None:
    scores = (logits() * 300).float().requires_grad_()
    terms = contrastive_terms(scores, POSITIVE, SAME_FILM)
    total = (terms.within_film_B + terms.which_film_B).sum()
    (gradient,) = torch.autograd.grad(total, scores)
    assert total.isfinite()
    assert gradient.isfinite().all()
    assert gradient.any()


def test_retrieval_is_judged_within_the_film_and_between_films() -> None:
    scores = torch.tensor([[3.0, 2.0, 9.0, 0.0], [4.0, 1.0, 0.0, 0.0], [5.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 7.0]])
    same_film = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=torch.bool)
    terms = contrastive_terms(scores, torch.arange(4), same_film)
    assert terms.is_best_within_B.tolist() == [True, False, True, True]
    assert terms.is_film_found_B.tolist() == [False, True, False, True]
