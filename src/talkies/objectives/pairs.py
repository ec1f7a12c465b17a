"""How queries and candidates belong together: same film, positive, too near.

Shapes: `B` queries of this rank, `N` candidates of all ranks; clips of a film at frames of the library's grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Relation:
    """A tile of pairs, bool: candidates of the query's own film that count, of other films, and its positives.

    A candidate that is neither `within` nor `across` was too near to be a negative, and counts nowhere.
    """

    within: Tensor
    across: Tensor
    positive: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Films and starts of B queries and N candidates; query `b` is candidate `first + b`.

    Within a film, candidates that begin less than `masked_frames` from the query are left out; those that begin at
    most `positive_frames` from it are positives beside its own counterpart (None: only that is), and never left out.
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
        """B and N."""
        return len(self.film_B), len(self.film_N)

    @property
    def own_B(self) -> Tensor:
        """The column of each query's own counterpart."""
        return self.first + torch.arange(len(self.film_B), device=self.film_B.device)

    def is_plain(self) -> bool:
        """Return whether each query has one positive, its own, and nothing is left out."""
        return not self.masked_frames and self.positive_frames is None

    def tile(self, rows: slice, columns: slice) -> Relation:
        """Return how the queries of `rows` and the candidates of `columns` belong together."""
        same = self.film_B[rows, None] == self.film_N[None, columns]
        columns_N = torch.arange(len(self.film_N), device=same.device)
        own = self.own_B[rows, None] == columns_N[None, columns]
        if self.is_plain():
            return Relation(same, ~same, own)
        apart = (self.start_B[rows, None] - self.start_N[None, columns]).abs()
        positive = own if self.positive_frames is None else own | (same & (apart <= self.positive_frames))
        return Relation(same & ((apart >= self.masked_frames) | positive), ~same, positive)
