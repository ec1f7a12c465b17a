"""Recurrences: pairs of clips that show, or sound, the same moment of a passage that comes back in the films.

A passage that comes back is known as a pair of spans of equal length: what happens some frames after the start of one
happens as many frames after the start of the other.

Shapes: `P` pairs of spans, `N` clips, `R` pairs of clips, `T` clips that touch spans.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor

from talkies.core import to_device

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class RecurringPairs:
    """The pairs of a query and a candidate that recur, by their numbers among the N clips, in both orders.

    The clips are ordered as the candidates are; query `b` is clip `first + b`. The pairs are on the CPU, and masks are
    made on `device`.
    """

    query_R: Tensor
    candidate_R: Tensor
    shape: tuple[int, int]
    first: int
    device: torch.device = _CPU

    def mark(self, rows: slice, columns: slice) -> Tensor:
        """Return whether the candidates in `columns` recur in the queries in `rows`, boolean."""
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        query_R, candidate_R = self.query_R - self.first - top, self.candidate_R - left
        inside_R = (query_R >= 0) & (query_R < bottom - top) & (candidate_R >= 0) & (candidate_R < right - left)
        marked_RC = torch.zeros((bottom - top, right - left), dtype=torch.bool, device=self.device)
        if inside_R.any():
            cell_R = query_R[inside_R] * (right - left) + candidate_R[inside_R]
            marked_RC.view(-1).index_fill_(0, to_device(cell_R, self.device), True)
        return marked_RC


@dataclass(frozen=True, slots=True, eq=False)
class Recurrences:
    """Pairs of spans of films that are the same passage, on the library's grid of frames.

    Attributes:
        film_P2: the film numbers of both spans, int64, as the clips of a batch have them.
        start_P2: the first frame of both spans, int64.
        frames_P: how long both are, int64.
        window_frames: how long a clip is.

    Raises:
        ValueError: if the tensors differ in P, or a clip or a span has no frames.
    """

    film_P2: Tensor
    start_P2: Tensor
    frames_P: Tensor
    window_frames: int

    def __post_init__(self) -> None:
        pairs = len(self.frames_P)
        if self.film_P2.shape != (pairs, 2) or self.start_P2.shape != (pairs, 2):
            raise ValueError(
                f"the parts of recurrences do not belong together: {list(self.film_P2.shape)}, "
                f"{list(self.start_P2.shape)} and {list(self.frames_P.shape)}"
            )
        if self.window_frames < 1 or (self.frames_P < 1).any():
            raise ValueError("clips and spans have at least one frame")

    def __len__(self) -> int:
        return len(self.frames_P)

    @property
    def digest(self) -> str:
        """The digest of the spans: sixteen hexadecimal digits."""
        digest = blake2b(digest_size=8)
        for part in (self.film_P2, self.start_P2, self.frames_P):
            digest.update(part.numpy(force=True).tobytes())
        return digest.hexdigest()

    def find_pairs(
        self, film_N: Tensor, start_N: Tensor, shape: tuple[int, int], first: int, device: torch.device = _CPU
    ) -> RecurringPairs:
        """Return the pairs of clips that have at least half a clip in common, once the two spans are aligned.

        Only what is inside the spans counts as common.

        Args:
            film_N: the film number of each clip, on the CPU.
            start_N: the first frame of each clip, on the CPU.
            shape: the numbers of queries and candidates, B and N.
            first: which clip the first query is.
            device: where masks are to be made.
        """
        # Find the clips that touch either span of each pair, and join those of one with those of the other.
        one = self._find_touching(film_N, start_N, 0)
        other = self._find_touching(film_N, start_N, 1)
        left_R, right_R = _join(one.passage_T, other.passage_T)
        one_R, other_R, frames_R = one.clip_T[left_R], other.clip_T[right_R], self.frames_P[one.passage_T[left_R]]

        # Measure what they have in common, in frames since the starts of the spans.
        one_start_R, other_start_R = one.since_T[left_R], other.since_T[right_R]
        end_R = (one_start_R.minimum(other_start_R) + self.window_frames).minimum(frames_R)
        common_R = end_R - one_start_R.maximum(other_start_R).clamp(min=0)
        recurs_R = 2 * common_R >= self.window_frames
        one_R, other_R = one_R[recurs_R], other_R[recurs_R]
        return RecurringPairs(torch.cat((one_R, other_R)), torch.cat((other_R, one_R)), shape, first, device)

    def _find_touching(self, film_N: Tensor, start_N: Tensor, side: int) -> "_Touching":
        """Return the clips that touch the first (0) or the second (1) span of each pair."""
        clip_T, passage_T = _join(film_N, self.film_P2[:, side])
        since_T = start_N[clip_T] - self.start_P2[passage_T, side]
        touches_T = (since_T > -self.window_frames) & (since_T < self.frames_P[passage_T])
        return _Touching(clip_T[touches_T], passage_T[touches_T], since_T[touches_T])


class _Touching(NamedTuple):
    """Clips that touch spans: the number of each, that of its pair of spans, and its start since the span's start."""

    clip_T: Tensor
    passage_T: Tensor
    since_T: Tensor


def _join(key_A: Tensor, key_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions in both of all pairs of equal keys."""
    order_B = key_B.argsort(stable=True)
    sorted_B = key_B[order_B].contiguous()
    low_A, high_A = (torch.searchsorted(sorted_B, key_A.contiguous(), right=right) for right in (False, True))
    count_A = high_A - low_A
    left_R = torch.arange(len(key_A), device=key_A.device).repeat_interleave(count_A)
    offset_R = torch.arange(len(left_R), device=key_A.device) - (count_A.cumsum(0) - count_A)[left_R]
    return left_R, order_B[low_A[left_R] + offset_R]
