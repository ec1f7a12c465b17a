"""What a contrastive loss needs to know of each query's scores: at once, or block by block in little memory.

Shapes: `B` queries of this rank, `N` candidates of all ranks, `D` embedding; a block has `R` rows and `C` columns.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from talkies.objectives.pairs import Pairs, Relation


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each query `[B]`: log-sum-exp of the scores of its film and of the other films, and its positives' mean.

    These three are differentiable. The rest is for reports: the best score among its positives, among the other
    candidates of its film and among those of other films, and how many negatives it has within and across.
    `lse_across_B` and the best scores are −inf where there is no such candidate.
    """

    lse_within_B: Tensor
    lse_across_B: Tensor
    positive_B: Tensor
    best_positive_B: Tensor
    best_within_B: Tensor
    best_across_B: Tensor
    negatives_within_B: Tensor
    negatives_across_B: Tensor


def scores_of(query_BD: Tensor, candidate_ND: Tensor, pairs: Pairs, block: int | None = None) -> Scores:
    """Return the scores `query · candidate` of all pairs, summed up for each query.

    With `block`, B × N numbers never exist at once: blocks of `block` × `block` are worked on one by one, and again
    for the gradient (as in Gao et al. 2021, arXiv:2101.06983, and Cheng et al. 2024, arXiv:2410.17243).
    """
    if block is None:
        scores_BN = query_BD @ candidate_ND.T
        scores = _summed_up(scores_BN, pairs.tile(slice(None), slice(None)))
        # Where each query has its own counterpart alone, it is picked: a gradient of B × N zeros less.
        own = scores_BN.gather(1, pairs.own_B[:, None]).squeeze(1)
        return replace(scores, positive_B=own) if pairs.positive_frames is None else scores
    return Scores(*_Blockwise.apply(query_BD, candidate_ND, pairs, block))  # type: ignore[no-untyped-call]


def _summed_up(scores_BN: Tensor, relation: Relation) -> Scores:
    within_BN = scores_BN.masked_fill(~relation.within, -math.inf)
    across_BN = scores_BN.masked_fill(~relation.across, -math.inf)
    positives_B = relation.positive.sum(1)
    with torch.no_grad():
        best_positive_B = scores_BN.masked_fill(~relation.positive, -math.inf).amax(1)
        best_within_B = within_BN.masked_fill(relation.positive, -math.inf).amax(1)
        best_across_B = across_BN.amax(1)
    return Scores(
        lse_within_B=within_BN.logsumexp(1),
        lse_across_B=across_BN.logsumexp(1),
        positive_B=(scores_BN * relation.positive).sum(1) / positives_B,
        best_positive_B=best_positive_B,
        best_within_B=best_within_B,
        best_across_B=best_across_B,
        negatives_within_B=relation.within.sum(1) - positives_B,
        negatives_across_B=relation.across.sum(1),
    )


class _Blockwise(torch.autograd.Function):
    """The same block by block: forward keeps a few numbers a query, backward makes each block's scores again."""

    @staticmethod
    def forward(ctx: Any, query_BD: Tensor, candidate_ND: Tensor, pairs: Pairs, block: int) -> tuple[Tensor, ...]:
        parts = []
        for rows in _blocks(pairs.shape[0], block):
            total = _Total.none(query_BD[rows])
            for columns in _blocks(pairs.shape[1], block):
                total.add(query_BD[rows] @ candidate_ND[columns].T, pairs.tile(rows, columns))
            parts.append(total.scores())
        whole = tuple(torch.cat(column) for column in zip(*parts, strict=True))
        ctx.pairs, ctx.block = pairs, block
        positives_B, scores = whole[-1], whole[:-1]
        ctx.save_for_backward(query_BD, candidate_ND, scores[0], scores[1], positives_B)
        ctx.mark_non_differentiable(*scores[3:])
        return scores

    @staticmethod
    def backward(ctx: Any, *embedding_gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query_BD, candidate_ND, lse_within_B, lse_across_B, positives_B = ctx.saved_tensors
        within_B, across_B, positive_B = (
            embedding_gradients[0],
            embedding_gradients[1],
            embedding_gradients[2] / positives_B,
        )
        to_query_BD, to_candidate_ND = torch.zeros_like(query_BD), torch.zeros_like(candidate_ND)
        for rows in _blocks(ctx.pairs.shape[0], ctx.block):
            for columns in _blocks(ctx.pairs.shape[1], ctx.block):
                scores_RC = query_BD[rows] @ candidate_ND[columns].T
                relation = ctx.pairs.tile(rows, columns)
                # d lse / d score is the candidate's share among its kind: softmax within the film, or across films.
                if relation.across.all():
                    slope_RC = scores_RC.sub_(lse_across_B[rows, None]).exp_().mul_(across_B[rows, None])
                else:
                    lse_RC = torch.where(relation.across, lse_across_B[rows, None], lse_within_B[rows, None])
                    weight_RC = torch.where(relation.across, across_B[rows, None], within_B[rows, None])
                    slope_RC = scores_RC.sub_(lse_RC).exp_().mul_(weight_RC)
                    slope_RC.masked_fill_(~(relation.within | relation.across), 0)
                    slope_RC.add_(relation.positive * positive_B[rows, None])
                to_query_BD[rows].addmm_(slope_RC, candidate_ND[columns])
                to_candidate_ND[columns].addmm_(slope_RC.T, query_BD[rows])
        return to_query_BD, to_candidate_ND, None, None


class _Total:
    """What is known of R queries after some of their candidates."""

    def __init__(self, nothing_R: Tensor) -> None:
        least_R, none_R = torch.full_like(nothing_R, -math.inf), torch.zeros_like(nothing_R, dtype=torch.int64)
        self._within_R, self._across_R, self._positive_R = least_R, least_R, nothing_R
        self._best_positive_R, self._best_within_R, self._best_across_R = least_R, least_R, least_R
        self._inside_R, self._outside_R, self._positives_R = none_R, none_R, none_R

    @classmethod
    def none(cls, query_RD: Tensor) -> "_Total":
        return cls(query_RD.new_zeros(len(query_RD)))

    def add(self, scores_RC: Tensor, relation: Relation) -> None:
        """Add the scores of C more candidates."""
        if relation.across.all():  # most blocks of a large batch; the films of a batch lie together
            self._across_R = self._across_R.logaddexp(scores_RC.logsumexp(1))
            self._best_across_R = self._best_across_R.maximum(scores_RC.amax(1))
            self._outside_R = self._outside_R + scores_RC.shape[1]
            return
        part = _summed_up(scores_RC, relation)
        positives_R = relation.positive.sum(1)
        self._within_R = self._within_R.logaddexp(part.lse_within_B)
        self._across_R = self._across_R.logaddexp(part.lse_across_B)
        self._positive_R = self._positive_R + (scores_RC * relation.positive).sum(1)
        self._best_positive_R = self._best_positive_R.maximum(part.best_positive_B)
        self._best_within_R = self._best_within_R.maximum(part.best_within_B)
        self._best_across_R = self._best_across_R.maximum(part.best_across_B)
        self._inside_R = self._inside_R + part.negatives_within_B
        self._outside_R = self._outside_R + part.negatives_across_B
        self._positives_R = self._positives_R + positives_R

    def scores(self) -> tuple[Tensor, ...]:
        """Return the fields of `Scores` in their order, and after them how many positives each query has."""
        return (
            self._within_R,
            self._across_R,
            self._positive_R / self._positives_R,
            self._best_positive_R,
            self._best_within_R,
            self._best_across_R,
            self._inside_R,
            self._outside_R,
            self._positives_R,
        )


def _blocks(length: int, block: int) -> Iterator[slice]:
    return (slice(begin, min(begin + block, length)) for begin in range(0, length, block))
