"""Cross-modal agreement: which candidates resemble a query in both modalities, and so may be false negatives.

The agreement of clips i and j is min(video_i · video_j, audio_i · audio_j), as in AVID-CMA (Morgado, Misra and
Vasconcelos 2021, arXiv:2004.12943). AVID-CMA finds the clips that agree with each in a memory of the whole data set;
here they are found among the candidates of the batch, anew at every step.

Shapes: `B` queries of this rank, `N` candidates of all ranks, `D` embedding, `K` candidates kept.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from talkies.objectives.blocks import iterate_blocks

ClipRows = tuple[Tensor, Tensor]
"""The embeddings of clips as unit vectors: their videos and their audios."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Which candidates agree with each query; nothing here has a gradient.

    Attributes:
        query: the queries' embeddings, `[B, D]` each; query `b` is candidate `first + b`.
        candidate: the candidates' embeddings, `[N, D]` each.
        first: the column of the first query's own counterpart, which does not count as agreeing.
        least_B: the least agreement with which a candidate agrees with a query.
        are_positives: whether agreeing candidates are positives; if not, they are ignored.
    """

    query: ClipRows
    candidate: ClipRows
    first: int
    least_B: Tensor
    are_positives: bool

    def mark(self, rows: slice, columns: slice) -> Tensor:
        """Return whether the candidates in `columns` agree with the queries in `rows`, boolean."""
        scores_RC = _compute_agreement(self.query, self.candidate, self.first, rows, columns)
        return scores_RC >= self.least_B[rows, None]


@torch.no_grad()
def find_agreement(
    query: ClipRows,
    candidate: ClipRows,
    first: int,
    *,
    share: float | None,
    threshold: float | None,
    are_positives: bool,
    block: int | None = None,
) -> Agreement:
    """Return which candidates agree with each query: those that are over both limits.

    Args:
        query: embeddings of this rank's queries.
        candidate: embeddings of the candidates of all ranks.
        first: the column of the first query's own counterpart.
        share: of the other N − 1 candidates, the floor of this share agrees; ties with the last of them agree too.
        threshold: the least agreement.
        are_positives: what agreeing candidates are.
        block: with a number, the agreement is computed in blocks.
    """
    query, candidate = (query[0].detach(), query[1].detach()), (candidate[0].detach(), candidate[1].detach())
    clips, candidates = len(query[0]), len(candidate[0])
    least_B = query[0].new_full((clips,), -math.inf if threshold is None else threshold)
    if share is not None:
        kept = math.floor(share * (candidates - 1) + 1e-9)
        least_B = least_B.maximum(_find_least(query, candidate, first, kept, block or max(clips, candidates)))
    return Agreement(query, candidate, first, least_B, are_positives)


def _find_least(query: ClipRows, candidate: ClipRows, first: int, kept: int, block: int) -> Tensor:
    """Return the agreement of the last of the `kept` best candidates of each query, `[B]`; infinity if none is kept."""
    if not kept:
        return query[0].new_full((len(query[0]),), math.inf)
    least = []
    for rows in iterate_blocks(len(query[0]), block):
        best_RK = query[0].new_full((len(query[0][rows]), kept), -math.inf)
        for columns in iterate_blocks(len(candidate[0]), block):
            scores_RC = _compute_agreement(query, candidate, first, rows, columns)
            best_RK = torch.cat((best_RK, scores_RC), 1).topk(kept, sorted=True).values
        least.append(best_RK[:, -1])
    return torch.cat(least)


def _compute_agreement(query: ClipRows, candidate: ClipRows, first: int, rows: slice, columns: slice) -> Tensor:
    """Return the agreement of a tile of pairs, −inf of each query with its own counterpart."""
    video_RC, audio_RC = (
        query_BD[rows] @ candidate_ND[columns].T for query_BD, candidate_ND in zip(query, candidate, strict=True)
    )
    row_B = first + torch.arange(len(query[0]), device=video_RC.device)
    column_N = torch.arange(len(candidate[0]), device=video_RC.device)
    return video_RC.minimum(audio_RC).masked_fill(row_B[rows, None] == column_N[None, columns], -math.inf)
