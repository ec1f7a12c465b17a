"""The scores of queries against candidates, summarised for a contrastive loss, at once or in blocks to save memory.

Shapes: `B` queries of this rank, `N` candidates of all ranks, `D` embedding; a block has `R` rows and `C` columns.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from talkies.objectives.blocks import iterate_blocks
from talkies.objectives.pairs import ClipPairs, PairMasks


@dataclass(frozen=True, slots=True)
class Scores:
    """A summary of each query's scores, `[B]` each.

    The first three are differentiable: the log-sum-exp of the scores within its film and across other films, and the
    mean score of its positives. The others are for reports: the best score among its positives, among the other
    candidates within its film and among those across films, and the numbers of negatives within and across, and of
    positives. A negative's weight is in the log-sum-exp alone. `lse_across_B` and the best scores are −inf where there
    is no such candidate.
    """

    lse_within_B: Tensor
    lse_across_B: Tensor
    positive_B: Tensor
    best_positive_B: Tensor
    best_within_B: Tensor
    best_across_B: Tensor
    negatives_within_B: Tensor
    negatives_across_B: Tensor
    positives_B: Tensor


def compute_scores(query_BD: Tensor, candidate_ND: Tensor, pairs: ClipPairs, block: int | None = None) -> Scores:
    """Return the summary of the scores `query · candidate` for each query.

    Args:
        query_BD: embeddings of this rank's queries, divided by the temperature.
        candidate_ND: embeddings of the candidates of all ranks.
        pairs: the films and starts of both.
        block: with a number, B × N scores never exist at once: blocks of `block` × `block` are computed one by one, and
            again for the gradient (as in Gao et al. 2021, arXiv:2101.06983, and Cheng et al. 2024, arXiv:2410.17243).
    """
    if block is not None:
        return Scores(*_BlockwiseScores.apply(query_BD, candidate_ND, pairs, block))  # type: ignore[no-untyped-call]

    scores_BN = query_BD @ candidate_ND.T
    scores = _summarise_scores(scores_BN, pairs.compute_masks(slice(None), slice(None), scores_BN.dtype))
    if not pairs.has_one_positive:
        return scores

    # With one positive a query, select it: its gradient does not need B × N zeros.
    own_B = scores_BN.gather(1, pairs.own_B[:, None]).squeeze(1)
    return replace(scores, positive_B=own_B)


def _summarise_scores(scores_BN: Tensor, masks: PairMasks) -> Scores:
    """Return the summary of each row of scores."""
    within_BN = scores_BN.masked_fill(~masks.within, -math.inf)
    weighted_BN = within_BN if masks.log_weight is None else within_BN + masks.log_weight
    across_BN = scores_BN.masked_fill(~masks.across, -math.inf)
    positives_B = masks.positive.sum(1)
    with torch.no_grad():
        best_positive_B = scores_BN.masked_fill(~masks.positive, -math.inf).amax(1)
        best_within_B = within_BN.masked_fill(masks.positive, -math.inf).amax(1)
        best_across_B = across_BN.amax(1)
    return Scores(
        lse_within_B=weighted_BN.logsumexp(1),
        lse_across_B=across_BN.logsumexp(1),
        positive_B=(scores_BN * masks.positive).sum(1) / positives_B,
        best_positive_B=best_positive_B,
        best_within_B=best_within_B,
        best_across_B=best_across_B,
        negatives_within_B=(masks.within & ~masks.positive).sum(1),
        negatives_across_B=masks.across.sum(1),
        positives_B=positives_B,
    )


class _BlockwiseScores(torch.autograd.Function):
    """The same summary block by block: forward keeps a few numbers a query, backward recomputes each block's scores."""

    @staticmethod
    def forward(ctx: Any, query_BD: Tensor, candidate_ND: Tensor, pairs: ClipPairs, block: int) -> tuple[Tensor, ...]:
        # Summarise each block of rows over all blocks of columns.
        row_summaries = []
        for rows in iterate_blocks(pairs.shape[0], block):
            running = _RunningScores.empty(query_BD[rows])
            for columns in iterate_blocks(pairs.shape[1], block):
                scores_RC = query_BD[rows] @ candidate_ND[columns].T
                if pairs.are_all_across(rows, columns):
                    running.add_across(scores_RC)
                else:
                    running.add(scores_RC, pairs.compute_masks(rows, columns, scores_RC.dtype))
            row_summaries.append(running.summarise())
        scores = [torch.cat(column) for column in zip(*row_summaries, strict=True)]

        # Keep what backward needs.
        ctx.pairs, ctx.block = pairs, block
        ctx.save_for_backward(query_BD, candidate_ND, scores[0], scores[1], scores[-1])
        ctx.mark_non_differentiable(*scores[3:])
        return tuple(scores)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query_BD, candidate_ND, lse_within_B, lse_across_B, positives_B = ctx.saved_tensors
        grad_within_B, grad_across_B = grads[0], grads[1]
        grad_positive_B = grads[2] / positives_B

        grad_query_BD, grad_candidate_ND = torch.zeros_like(query_BD), torch.zeros_like(candidate_ND)
        for rows in iterate_blocks(ctx.pairs.shape[0], ctx.block):
            for columns in iterate_blocks(ctx.pairs.shape[1], ctx.block):
                scores_RC = query_BD[rows] @ candidate_ND[columns].T

                # d lse / d score is the candidate's softmax within the film, or across films.
                if ctx.pairs.are_all_across(rows, columns):
                    grad_RC = scores_RC.sub_(lse_across_B[rows, None]).exp_().mul_(grad_across_B[rows, None])
                else:
                    masks = ctx.pairs.compute_masks(rows, columns, scores_RC.dtype)
                    if masks.log_weight is not None:
                        scores_RC.add_(masks.log_weight)
                    lse_RC = torch.where(masks.across, lse_across_B[rows, None], lse_within_B[rows, None])
                    grad_lse_RC = torch.where(masks.across, grad_across_B[rows, None], grad_within_B[rows, None])
                    grad_RC = scores_RC.sub_(lse_RC).exp_().mul_(grad_lse_RC)
                    grad_RC.masked_fill_(~(masks.within | masks.across), 0)
                    grad_RC.add_(masks.positive * grad_positive_B[rows, None])

                grad_query_BD[rows].addmm_(grad_RC, candidate_ND[columns])
                grad_candidate_ND[columns].addmm_(grad_RC.T, query_BD[rows])
        return grad_query_BD, grad_candidate_ND, None, None


class _RunningScores:
    """The summary of R queries over the candidates seen so far."""

    def __init__(self, zeros_R: Tensor) -> None:
        lowest_R = torch.full_like(zeros_R, -math.inf)
        count_R = torch.zeros_like(zeros_R, dtype=torch.int64)
        self._lse_within_R, self._lse_across_R, self._positive_sum_R = lowest_R, lowest_R, zeros_R
        self._best_positive_R, self._best_within_R, self._best_across_R = lowest_R, lowest_R, lowest_R
        self._negatives_within_R, self._negatives_across_R, self._positives_R = count_R, count_R, count_R

    @classmethod
    def empty(cls, query_RD: Tensor) -> "_RunningScores":
        """Return the summary of these queries before any candidate."""
        return cls(query_RD.new_zeros(len(query_RD)))

    def add_across(self, scores_RC: Tensor) -> None:
        """Add the scores of C more candidates, all of other films.

        Most blocks of a large batch are such, because the clips of a film are next to each other.
        """
        self._lse_across_R = self._lse_across_R.logaddexp(scores_RC.logsumexp(1))
        self._best_across_R = self._best_across_R.maximum(scores_RC.amax(1))
        self._negatives_across_R = self._negatives_across_R + scores_RC.shape[1]

    def add(self, scores_RC: Tensor, masks: PairMasks) -> None:
        """Add the scores of C more candidates."""
        block = _summarise_scores(scores_RC, masks)
        self._lse_within_R = self._lse_within_R.logaddexp(block.lse_within_B)
        self._lse_across_R = self._lse_across_R.logaddexp(block.lse_across_B)
        self._positive_sum_R = self._positive_sum_R + (scores_RC * masks.positive).sum(1)
        self._best_positive_R = self._best_positive_R.maximum(block.best_positive_B)
        self._best_within_R = self._best_within_R.maximum(block.best_within_B)
        self._best_across_R = self._best_across_R.maximum(block.best_across_B)
        self._negatives_within_R = self._negatives_within_R + block.negatives_within_B
        self._negatives_across_R = self._negatives_across_R + block.negatives_across_B
        self._positives_R = self._positives_R + masks.positive.sum(1)

    def summarise(self) -> tuple[Tensor, ...]:
        """Return the fields of `Scores` in their order."""
        return (
            self._lse_within_R,
            self._lse_across_R,
            self._positive_sum_R / self._positives_R,
            self._best_positive_R,
            self._best_within_R,
            self._best_across_R,
            self._negatives_within_R,
            self._negatives_across_R,
            self._positives_R,
        )
