"""Masks over pairs of a query and a candidate: same film, positive, or no negative, and the weights of negatives.

Shapes: `B` queries of this rank, `N` candidates of all ranks. Starts of clips are frames of the library's grid.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from talkies.core import ClipStarts, Int64s
from talkies.objectives.agreement import Agreement
from talkies.objectives.recurrences import RecurringPairs


@dataclass(frozen=True, slots=True)
class PairMasks:
    """Boolean masks over a tile of pairs: candidates within the query's film, across films, and its positives.

    A candidate that is in none of them is ignored. A positive of another film counts as within the query's film.
    `log_weight` has the logarithms of the negatives' weights and 0 elsewhere; with None all weights are 1.
    """

    within: Tensor
    across: Tensor
    positive: Tensor
    log_weight: Tensor | None = None


@dataclass(frozen=True, slots=True)
class TimeWeighting:
    """Weights of the negatives of a film by their distance Δt from the query, in frames: τ is `scale_frames`.

    `farther` weighs them by 1 − exp(−Δt / τ), so that a negative at the same moment is ignored; `nearer` by
    exp(−Δt / τ).
    """

    kind: Literal["farther", "nearer"]
    scale_frames: float

    def compute_log_weights(self, distance: Tensor) -> Tensor:
        """Return the logarithms of the weights at these distances, which are floating point."""
        ratio = distance / -self.scale_frames
        return ratio if self.kind == "nearer" else ratio.expm1().neg().log()


@dataclass(frozen=True, slots=True, eq=False)
class ClipPairs:
    """The films and starts of B queries and N candidates; query `b` is candidate `first + b`.

    Within a film, candidates that start less than `masked_frames` from the query are ignored. Those that start at most
    `positive_frames` from it are positives like its own counterpart, and never ignored (None: only its own counterpart
    is a positive). Candidates that agree with the query are ignored or are positives, and those that recur in it are
    ignored. If `decoupled`, the positives are not among the candidates within the film. With `labels_N`, blocks of
    pairs that are all of different films are found without waiting for the device (see `label_films`).
    """

    film_B: Tensor
    start_B: Tensor
    film_N: Tensor
    start_N: Tensor
    first: int
    masked_frames: int = 0
    positive_frames: int | None = None
    time_weighting: TimeWeighting | None = None
    agreement: Agreement | None = None
    recurring: RecurringPairs | None = None
    decoupled: bool = False
    labels_N: Int64s | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of queries and candidates, B and N."""
        return len(self.film_B), len(self.film_N)

    @property
    def own_B(self) -> Tensor:
        """The column of each query's own counterpart, `[B]`."""
        return self.first + torch.arange(len(self.film_B), device=self.film_B.device)

    @property
    def has_one_positive(self) -> bool:
        """Whether each query has one positive, its own counterpart."""
        return self.positive_frames is None and not (self.agreement is not None and self.agreement.are_positives)

    @property
    def may_ignore(self) -> bool:
        """Whether what is found in the clips, and not only their nearness, decides which candidates are negatives."""
        return any(each is not None for each in (self.time_weighting, self.agreement, self.recurring))

    def are_all_across(self, rows: slice, columns: slice) -> bool:
        """Return whether it is known that all candidates in `columns` are negatives of other films for all `rows`."""
        if self.labels_N is None or self.recurring is not None or self.agreement is not None:
            return False
        queries, candidates = self.labels_N[self.first :][: len(self.film_B)][rows], self.labels_N[columns]
        return bool(queries.max() < candidates.min() or candidates.max() < queries.min())

    def count_candidates(self) -> float | Tensor:
        """Return how many candidates a query has, the mean over queries: all N."""
        return len(self.film_N)

    def is_plain(self) -> bool:
        """Return whether each query has one positive, its own counterpart, and all others count as negatives alike."""
        return not (self.masked_frames or self.may_ignore or self.decoupled) and self.positive_frames is None

    def compute_masks(self, rows: slice, columns: slice, dtype: torch.dtype = torch.float64) -> PairMasks:
        """Return the masks of the queries in `rows` and the candidates in `columns`, with weights of this type."""
        same_film = self.film_B[rows, None] == self.film_N[None, columns]
        column_N = torch.arange(len(self.film_N), device=same_film.device)
        own = self.own_B[rows, None] == column_N[None, columns]
        if self.is_plain():
            return PairMasks(same_film, ~same_film, own)

        # Find the positives, and the candidates that are no negatives.
        distance = (self.start_B[rows, None] - self.start_N[None, columns]).abs()
        positive, ignored = own, same_film & (distance < self.masked_frames)
        if self.positive_frames is not None:
            positive = own | (same_film & (distance <= self.positive_frames))
        if self.recurring is not None:
            ignored = ignored | self.recurring.mark(rows, columns)
        if self.agreement is not None and self.agreement.are_positives:
            positive = positive | self.agreement.mark(rows, columns)
        elif self.agreement is not None:
            ignored = ignored | self.agreement.mark(rows, columns)

        # Weigh the negatives of the film by time; those without any weight are ignored.
        log_weight = None
        if self.time_weighting is not None:
            log_weight = self.time_weighting.compute_log_weights(distance.to(dtype))
            ignored = ignored | (same_film & (log_weight == -math.inf))
            log_weight = log_weight.masked_fill(~same_film | ignored | positive, 0)

        within = same_film & ~ignored
        within = within & ~positive if self.decoupled else within | positive
        return PairMasks(within, ~(same_film | ignored | positive), positive, log_weight)


def label_films(starts: ClipStarts) -> Int64s:
    """Return a number for the film of each clip, `[N]`: films are counted in the order in which they come.

    So the clips of blocks with different films have different ranges of numbers, where each film's clips come together.
    """
    _, first_F, inverse_N = np.unique(starts.film_N, return_index=True, return_inverse=True)
    label_F = np.empty(len(first_F), np.int64)
    label_F[np.argsort(first_F)] = np.arange(len(first_F))
    labels_N: Int64s = label_F[inverse_N]
    return labels_N
