"""The sigmoid pair loss (Zhai et al. 2023, arXiv:2303.15343): each pair of a query and a candidate is decided alone.

A positive with score s costs −log σ(s + b), a negative −log σ(−s − b) times its weight. There is no softmax over
candidates, so the parts within the film and across films add up.

Shapes: `B` queries of this rank, `N` candidates of all ranks, `D` embedding; a block has `R` rows and `C` columns.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from talkies.objectives.blocks import iterate_blocks
from talkies.objectives.pairs import ClipPairs, PairMasks

_ALL = slice(None)


class SigmoidTerms(NamedTuple):
    """The costs of each query's pairs in nats, `[B]`: sums over its positives, and its negatives within and across."""

    positive_B: Tensor
    within_film_B: Tensor
    across_films_B: Tensor


def compute_sigmoid_terms(
    query_BD: Tensor, candidate_ND: Tensor, bias_1: Tensor, pairs: ClipPairs, block: int | None = None
) -> SigmoidTerms:
    """Return the costs of the pairs of each query.

    Args:
        query_BD: embeddings of this rank's queries, divided by the temperature.
        candidate_ND: embeddings of the candidates of all ranks.
        bias_1: what is added to each score.
        pairs: the films and starts of both, and the weights of negatives.
        block: with a number, blocks of `block` × `block` pairs are computed one by one, and again for the gradient.
    """
    if block is not None:
        terms: tuple[Tensor, ...] = _BlockwiseTerms.apply(query_BD, candidate_ND, bias_1, pairs, block)  # type: ignore[no-untyped-call]
        return SigmoidTerms(*terms)
    logits_BN = query_BD @ candidate_ND.T + bias_1
    return _sum_costs(logits_BN, pairs.compute_masks(_ALL, _ALL, logits_BN.dtype))


def _sum_costs(logits_RC: Tensor, masks: PairMasks) -> SigmoidTerms:
    positive_RC, negative_RC = -logsigmoid(logits_RC), -logsigmoid(-logits_RC)
    if masks.log_weight is not None:
        negative_RC = negative_RC * masks.log_weight.exp()
    return SigmoidTerms(
        (positive_RC * masks.positive).sum(1),
        (negative_RC * (masks.within & ~masks.positive)).sum(1),
        (negative_RC * masks.across).sum(1),
    )


class _BlockwiseTerms(torch.autograd.Function):
    """The same sums block by block; backward recomputes each block's scores."""

    @staticmethod
    def forward(
        ctx: Any, query_BD: Tensor, candidate_ND: Tensor, bias_1: Tensor, pairs: ClipPairs, block: int
    ) -> tuple[Tensor, ...]:
        sums_3B = query_BD.new_zeros(3, len(query_BD))
        for rows in iterate_blocks(pairs.shape[0], block):
            for columns in iterate_blocks(pairs.shape[1], block):
                logits_RC = query_BD[rows] @ candidate_ND[columns].T + bias_1
                masks = pairs.compute_masks(rows, columns, logits_RC.dtype)
                sums_3B[:, rows] += torch.stack(_sum_costs(logits_RC, masks))
        ctx.pairs, ctx.block = pairs, block
        ctx.save_for_backward(query_BD, candidate_ND, bias_1)
        return tuple(sums_3B.unbind())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query_BD, candidate_ND, bias_1 = ctx.saved_tensors
        positive_B, within_B, across_B = grads
        grad_query_BD, grad_candidate_ND = torch.zeros_like(query_BD), torch.zeros_like(candidate_ND)
        grad_bias_1 = torch.zeros_like(bias_1)
        for rows in iterate_blocks(ctx.pairs.shape[0], ctx.block):
            for columns in iterate_blocks(ctx.pairs.shape[1], ctx.block):
                logits_RC = query_BD[rows] @ candidate_ND[columns].T + bias_1
                masks = ctx.pairs.compute_masks(rows, columns, logits_RC.dtype)

                # The cost of a negative has the slope σ(s + b), and that of a positive −σ(−s − b).
                slope_RC = logits_RC.sigmoid()
                if masks.log_weight is not None:
                    slope_RC = slope_RC * masks.log_weight.exp()
                slope_RC *= torch.where(masks.across, across_B[rows, None], within_B[rows, None])
                slope_RC.masked_fill_(masks.positive | ~(masks.within | masks.across), 0)
                slope_RC -= (-logits_RC).sigmoid() * masks.positive * positive_B[rows, None]

                grad_query_BD[rows].addmm_(slope_RC, candidate_ND[columns])
                grad_candidate_ND[columns].addmm_(slope_RC.T, query_BD[rows])
                grad_bias_1 += slope_RC.sum()
        return grad_query_BD, grad_candidate_ND, grad_bias_1, None, None
