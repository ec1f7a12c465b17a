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
from talkies.evaluation.film_tasks.retrieval import RECALLS, rank_positives


@dataclass(frozen=True, slots=True)
class FilmRetrieval:
    """What a film's clips find: recalls `[K]`, and how often the best candidate is the right clip or of the right film.

    `shuffled_K` is the control's recall: its mean over all ways to give a clip the sound of another clip of the film.
    """

    across_K: Float64s
    within_K: Float64s
    shuffled_K: Float64s
    right_clip: float
    right_film: float


def measure_film_retrieval(queries: Sequence[Tensor], galleries: Sequence[Tensor]) -> list[FilmRetrieval]:
    """Return what each film's queries find among the candidates of all films.

    Args:
        queries: The queries of each film, `[n, D]`.
        galleries: The candidates of each film, `[n, D]`; row *i* is the right answer to query *i*.
    """
    gallery_ND = torch.cat(list(galleries))
    start, films = 0, []
    for query_nD, own_nD in zip(queries, galleries, strict=True):
        own = slice(start, start + len(query_nD))
        scores_nN = query_nD @ gallery_ND.T
        ranks_nn = _rank_scores(scores_nN, scores_nN[:, own])
        diagonal = torch.eye(len(query_nD), dtype=torch.bool)
        best_nN = scores_nN == scores_nN.amax(1, keepdim=True)
        ties_n = best_nN.sum(1)
        films.append(
            FilmRetrieval(
                across_K=_compute_recalls(ranks_nn[diagonal]),
                within_K=_compute_recalls(rank_positives(query_nD, own_nD)),
                shuffled_K=_compute_recalls(ranks_nn[~diagonal]),
                right_clip=float((best_nN[:, own][diagonal] / ties_n).mean()),
                right_film=float((best_nN[:, own].sum(1) / ties_n).mean()),
            )
        )
        start = own.stop
    return films


def subtract_mean(rows_nD: Tensor) -> Tensor:
    """Return a film's rows `[n, D]` less their mean."""
    return rows_nD - rows_nD.mean(0)


def normalise_rows(rows_nD: Tensor) -> Tensor:
    """Return rows `[n, D]` of length one; a row of zeros stays."""
    return functional.normalize(rows_nD)


def expect_recall_within(sizes: Sequence[int], k: int) -> float:
    """Return the recall at `k` of a guess within the film, the mean over films of these numbers of clips."""
    return float(np.mean([min(1.0, k / size) for size in sizes]))


def expect_recall_across(sizes: Sequence[int], k: int) -> float:
    """Return the recall at `k` of a guess among all clips of films of these numbers of clips."""
    return min(1.0, k / sum(sizes))


def _rank_scores(scores_nN: Tensor, wanted_nn: Tensor) -> Tensor:
    """Return the rank of each wanted score in its row `[n, n]`, from 0; tied scores share the middle rank."""
    sorted_nN, wanted_nn = scores_nN.sort(dim=1).values, wanted_nn.contiguous()
    below, not_above = (torch.searchsorted(sorted_nN, wanted_nn, right=right) for right in (False, True))
    return scores_nN.shape[1] - not_above + (not_above - below - 1) / 2


def _compute_recalls(ranks: Tensor) -> Float64s:
    return np.array([(ranks < k).double().mean().item() for k in RECALLS])
