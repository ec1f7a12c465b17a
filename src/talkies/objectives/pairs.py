"""Masks over pairs of a query and a candidate: same film, positive, or too near in time to be a negative.

Shapes: `B` queries of this rank, `N` candidates of all ranks. Starts of clips are frames of the library's grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairMasks:
    """Boolean masks over a tile of pairs: candidates within the query's film, across films, and its positives.

    A candidate that is neither `within` nor `across` is too near to be a negative, and is ignored.
    """

    within: Tensor
    across: Tensor
    positive: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ClipPairs:
    """The films and starts of B queries and N candidates; query `b` is candidate `first + b`.

    Within a film, candidates that start less than `masked_frames` from the query are ignored. Those that start at most
    `positive_frames` from it are positives like its own counterpart, and never ignored (None: only its own counterpart
    is a positive).
    """

    film_B: Tensor
    start_B: Tensor
    film_N: Tensor
    start_N: Tensor
    first: int
    masked_frames: int = 0
    positive_frames: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of queries and candidates, B and N."""
        return len(self.film_B), len(self.film_N)

    @property
    def own_B(self) -> Tensor:
        """The column of each query's own counterpart, `[B]`."""
        return self.first + torch.arange(len(self.film_B), device=self.film_B.device)

    def is_plain(self) -> bool:
        """Return whether each query has one positive, its own counterpart, and no candidate is ignored."""
        return not self.masked_frames and self.positive_frames is None

    def compute_masks(self, rows: slice, columns: slice) -> PairMasks:
        """Return the masks of the queries in `rows` and the candidates in `columns`."""
        same_film = self.film_B[rows, None] == self.film_N[None, columns]
        column_N = torch.arange(len(self.film_N), device=same_film.device)
        own = self.own_B[rows, None] == column_N[None, columns]
        if self.is_plain():
            return PairMasks(same_film, ~same_film, own)

        distance = (self.start_B[rows, None] - self.start_N[None, columns]).abs()
        positive = own
        if self.positive_frames is not None:
            positive = own | (same_film & (distance <= self.positive_frames))
        return PairMasks(same_film & ((distance >= self.masked_frames) | positive), ~same_film, positive)
