"""Retrieval for the audit, film by film: across films, within the film, and the control with shuffled sound.

Shapes: `N` clips of all films, `n` clips of a film, `D` embedding, `K` recalls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from talkies.core import Float64s
from talkies.evaluation.film_tasks.retrieval import RECALLS, ranks_of_positives


@dataclass(frozen=True, slots=True)
class FilmRetrieval:
    """What a film's clips find: recalls `[K]`, and of the very best candidates the shares right in clip and in film.

    `shuffled_K` is the control's recall: its mean over all ways to give a clip the sound of another clip of the film.
    """

    across_K: Float64s
    within_K: Float64s
    shuffled_K: Float64s
    right_clip: float
    right_film: float


def retrieve(queries: Sequence[Tensor], galleries: Sequence[Tensor]) -> list[FilmRetrieval]:
    """Return what each film's `queries` `[n, D]` find in the `galleries` of all films; row *i* belongs to row *i*."""
    gallery_ND = torch.cat(list(galleries))
    begin, found = 0, []
    for query_nD, own_nD in zip(queries, galleries, strict=True):
        own = slice(begin, begin + len(query_nD))
        scores_nN = query_nD @ gallery_ND.T
        ranks_nn = _ranks(scores_nN, scores_nN[:, own])
        diagonal = torch.eye(len(query_nD), dtype=torch.bool)
        best_nN = scores_nN == scores_nN.amax(1, keepdim=True)
        best_n = best_nN.sum(1)
        found.append(
            FilmRetrieval(
                across_K=_recalls(ranks_nn[diagonal]),
                within_K=_recalls(ranks_of_positives(query_nD, own_nD)),
                shuffled_K=_recalls(ranks_nn[~diagonal]),
                right_clip=float((best_nN[:, own][diagonal] / best_n).mean()),
                right_film=float((best_nN[:, own].sum(1) / best_n).mean()),
            )
        )
        begin = own.stop
    return found


def _ranks(scores_nN: Tensor, wanted_nn: Tensor) -> Tensor:
    """Return at which rank of its row, from 0, each wanted score stands; among ties the middle rank."""
    sorted_nN, wanted_nn = scores_nN.sort(dim=1).values, wanted_nn.contiguous()
    below, not_above = (torch.searchsorted(sorted_nN, wanted_nn, right=right) for right in (False, True))
    return scores_nN.shape[1] - not_above + (not_above - below - 1) / 2


def _recalls(ranks: Tensor) -> Float64s:
    return np.array([(ranks < k).double().mean().item() for k in RECALLS])


def without_mean(rows_nD: Tensor) -> Tensor:
    """Return a film's rows less their mean."""
    return rows_nD - rows_nD.mean(0)


def unit(rows_nD: Tensor) -> Tensor:
    """Return rows of length one; a row of nothing stays."""
    return functional.normalize(rows_nD)


def chance_within(sizes: Sequence[int], k: int) -> float:
    """Return the recall at `k` of a guess within the film, the mean over films of such sizes."""
    return float(np.mean([min(1.0, k / size) for size in sizes]))


def chance_across(sizes: Sequence[int], k: int) -> float:
    """Return the recall at `k` of a guess among all clips."""
    return min(1.0, k / sum(sizes))
