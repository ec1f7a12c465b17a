"""A queue of keys for each film: negatives within the film that need not be encoded again.

A key is an embedding of the momentum encoder (MoCo, He et al. 2020, arXiv:1911.05722), whose weights follow the trained
ones slowly. MoCo has one queue. Here each film has its own, and a query meets the queue of its film: hundreds of
negatives that share the film's look and sound.

Shapes: `B` queries of this rank, `N` keys of the clips of all ranks, `Q` keys in the queue, `D` embedding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from talkies.core import ClipStarts, Embeddings, Int64s, to_device
from talkies.distributed import gather_rows
from talkies.objectives.pairs import ClipPairs, PairMasks


@dataclass(frozen=True, slots=True, eq=False)
class QueuedPairs(ClipPairs):
    """Pairs whose last `queued` candidates come from the queue.

    A queued candidate is never a positive. Of the query's film, it is a negative if it starts at least
    `far_frames` from the query, and otherwise ignored, because it may show the same moment. Of another film, it is a
    negative if `is_across`, and otherwise ignored.
    """

    queued: int = 0
    far_frames: int = 0
    is_across: bool = False

    def are_all_across(self, rows: slice, columns: slice) -> bool:
        """Return whether it is known that all candidates in `columns` are negatives of other films for all `rows`."""
        has_queued = columns.indices(len(self.film_N))[1] > len(self.film_N) - self.queued
        return (self.is_across or not has_queued) and ClipPairs.are_all_across(self, rows, columns)

    def count_candidates(self) -> float | Tensor:
        """Return how many candidates a query has, the mean over queries; the queues of other films are none of its."""
        if self.is_across or not self.queued:
            return len(self.film_N)
        batch = len(self.film_N) - self.queued
        queued_Q, film_B = self.film_N[batch:].sort().values, self.film_B.contiguous()
        before_B, after_B = (torch.searchsorted(queued_Q, film_B, right=right) for right in (False, True))
        return batch + (after_B - before_B).double().mean()

    def is_plain(self) -> bool:
        """Return whether each query has one positive, its own counterpart, and all others count as negatives alike."""
        return not self.queued and ClipPairs.is_plain(self)

    def compute_masks(self, rows: slice, columns: slice, dtype: torch.dtype = torch.float64) -> PairMasks:
        """Return the masks of the queries in `rows` and the candidates in `columns`, with weights of this type."""
        masks = ClipPairs.compute_masks(self, rows, columns, dtype)
        is_far = (self.start_B[rows, None] - self.start_N[None, columns]).abs() >= self.far_frames
        column_N = torch.arange(len(self.film_N), device=is_far.device)
        is_queued = (column_N >= len(self.film_N) - self.queued)[None, columns]
        return replace(
            masks,
            within=masks.within & (is_far | ~is_queued),
            across=masks.across if self.is_across else masks.across & ~is_queued,
            positive=masks.positive & ~is_queued,
        )


@dataclass(frozen=True, slots=True, eq=False)
class BatchKeys:
    """The keys that the queries of a batch are scored against; they have no gradient.

    Attributes:
        views: the keys of the N clips of all ranks, for each augmentation of them.
        queued: the Q keys of the queue that are looked up for them.
        starts: films and first frames of the clips of all ranks, where they are known on the CPU.
        queued_starts: those of the keys of the queue, likewise.
    """

    views: tuple[Embeddings, ...]
    queued: Embeddings
    starts: ClipStarts | None = None
    queued_starts: ClipStarts | None = None

    def list_starts(self) -> ClipStarts:
        """Return the films and first frames of the candidates, `[N + Q]`; those not known are read from the device."""
        batch = self.starts or ClipStarts.read(self.views[0].film_B, self.views[0].start_B)
        queued = self.queued_starts or ClipStarts.read(self.queued.film_B, self.queued.start_B)
        film_N = np.concatenate((batch.film_N, queued.film_N))
        return ClipStarts(film_N, np.concatenate((batch.start_N, queued.start_N)))

    def list_candidates(self) -> list[Tensor]:
        """Return the candidates `[N + Q, D]`: video and audio of each view in turn."""
        return [
            torch.cat(parts)
            for view in self.views
            for parts in ((view.video_BD, self.queued.video_BD), (view.audio_BD, self.queued.audio_BD))
        ]


def gather_embeddings(own: Embeddings) -> Embeddings:
    """Return the embeddings of the clips of all ranks, `[N, …]`, without gradients; all ranks must call it."""
    with torch.no_grad():
        film_N, start_N = gather_rows(torch.stack((own.film_B, own.start_B), 1)).unbind(1)
        video_ND, audio_ND = gather_rows(torch.cat((own.video_BD, own.audio_BD), 1)).chunk(2, 1)
    return Embeddings(video_ND, audio_ND, film_N, start_N)


class FilmQueue:
    """The newest keys of each film, at most `clips_per_film`; films are told apart by their numbers in the plan."""

    def __init__(self, clips_per_film: int) -> None:
        self.clips_per_film = clips_per_film
        self._films: dict[int, Embeddings] = {}
        self._starts: dict[int, Int64s] = {}  # of the same keys, on the CPU

    def __len__(self) -> int:
        return sum(map(len, self._films.values()))

    def look_up(self, clips: Embeddings, film_B: Int64s | None = None) -> Embeddings:
        """Return the keys of the films that these clips are of, `[Q, …]`: film by film, the oldest first.

        Args:
            clips: embeddings of clips.
            film_B: their film numbers on the CPU, where they are known: otherwise this waits for the device.
        """
        film_B = clips.film_B.cpu().numpy() if film_B is None else film_B
        found = [self._films[film] for film in group_rows(film_B) if film in self._films]
        return _concatenate([_select(clips, slice(0)), *found])

    def look_up_starts(self, film_B: Int64s) -> ClipStarts:
        """Return the films and first frames of the keys that `look_up` returns for clips of these films."""
        films = [film for film in group_rows(film_B) if film in self._films]
        film_Q = np.repeat(np.array(films, np.int64), [len(self._starts[film]) for film in films])
        return ClipStarts(film_Q, np.concatenate([np.zeros(0, np.int64), *(self._starts[film] for film in films)]))

    def append(self, keys: Embeddings, starts: ClipStarts | None = None) -> None:
        """Add the keys of clips to the queues of their films, in this order; the oldest of a film leave.

        Args:
            keys: the keys.
            starts: their films and first frames, where they are known: otherwise this waits for the device.
        """
        starts = starts or ClipStarts.read(keys.film_B, keys.start_B)
        for film, rows in group_rows(starts.film_N).items():
            row_R = rows[-self.clips_per_film :]
            new, new_starts = (
                _select(keys, to_device(torch.from_numpy(row_R), keys.film_B.device)),
                starts.start_N[row_R],
            )
            kept = self._films.get(film)
            if kept is not None:
                excess = max(len(kept) + len(new) - self.clips_per_film, 0)
                new = _concatenate([_select(kept, slice(excess, None)), new])
                new_starts = np.concatenate((self._starts[film][excess:], new_starts))
            self._films[film], self._starts[film] = new, new_starts

    def state_dict(self) -> dict[str, Tensor]:
        """Return the keys as `video` and `audio` `[Q, D]`, `film` and `start` `[Q]`; nothing from an empty queue."""
        if not self._films:
            return {}
        every = _concatenate([self._films[film] for film in sorted(self._films)])
        return {"video": every.video_BD, "audio": every.audio_BD, "film": every.film_B, "start": every.start_B}

    def load_state_dict(self, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
        """Replace all keys by those that `state_dict` returned.

        Raises:
            ValueError: if some of it is missing, or does not belong together.
        """
        self._films, self._starts = {}, {}
        if not tensors:
            return
        names = ("video", "audio", "film", "start")
        if missing := [name for name in names if name not in tensors]:
            raise ValueError(f"its queue lacks {missing[0]}")
        self.append(Embeddings(*(tensors[name].to(device) for name in names)))


def group_rows(film_B: Int64s) -> dict[int, Int64s]:
    """Return the rows of each film, films in the order in which they come."""
    rows: dict[int, list[int]] = {}
    for row, film in enumerate(film_B.tolist()):
        rows.setdefault(film, []).append(row)
    return {film: np.array(of_film, np.int64) for film, of_film in rows.items()}


def _select(clips: Embeddings, rows: slice | Tensor) -> Embeddings:
    return Embeddings(*(part[rows].detach() for part in _parts(clips)))


def _concatenate(every: Sequence[Embeddings]) -> Embeddings:
    return Embeddings(*(torch.cat(parts) for parts in zip(*map(_parts, every), strict=True)))


def _parts(clips: Embeddings) -> Iterator[Tensor]:
    return iter((clips.video_BD, clips.audio_BD, clips.film_B, clips.start_B))
