"""Load the batches of a plan, in worker processes or in this one."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from talkies.clips.source import ClipSource
from talkies.clips.workers import count_cores, read_by_workers
from talkies.config import Config
from talkies.core import ClipBatch, ClipRequest, Int64s
from talkies.sampling import BatchPlan

_PART_CLIPS = 32  # a part that one worker reads at a time, if a film has not more clips in a batch
_MOST_WORKERS = 16


class LoaderConfig(Config):
    """`workers` processes decode (0: this one; auto: one for each core but the one that trains), and each is
    `prefetch` parts of a batch ahead.
    """

    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    prefetch: Annotated[int, Field(ge=1, le=64)] = 2

    def workers_on(self, cores: int, processes: int = 1) -> int:
        """Return how many workers each of `processes` training processes has on a machine of so many cores."""
        if self.workers != "auto":
            return self.workers
        return min(_MOST_WORKERS, max(1, cores // processes - 1))


def loader(
    source: ClipSource, plan: BatchPlan, steps: range, config: LoaderConfig, rank: int = 0, world_size: int = 1
) -> Iterator[ClipBatch]:
    """Yield this rank's share of the batches of `steps`, in order; the number of workers changes nothing in them.

    The films of a batch are dealt to the ranks, and to a rank's workers, in runs: all clips of a film are read by one
    worker in the order of time. What is in flight is bounded by the workers, not by the size of a batch.
    """
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))  # as `torchrun` tells it: processes on this machine
    workers = min(config.workers_on(count_cores(), beside), len(steps))
    # One more than are being read, for that which is being copied: so no part is written before it was copied.
    slots = _Slots.of(source, max(_PART_CLIPS, plan.most_clips_per_film), workers * config.prefetch + 1)
    parts = _Parts(plan, steps, rank, world_size, len(slots.video_NBTPW))
    read = read_by_workers(_Clips(source, slots), workers, config.prefetch, parts)
    for _ in steps:
        yield _batch(parts, slots, read)


@dataclass(frozen=True, slots=True)
class Part:
    """Clips that a worker reads at once, some whole films, and the slot that it reads them into."""

    requests: tuple[ClipRequest, ...]
    slot: int


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """Memory that all processes share, N slots for B clips each, used again and again: to map new memory for each part
    takes as long as a tenth of the decoding.
    """

    video_NBTPW: Tensor
    audio_NBS: Tensor

    @classmethod
    def of(cls, source: ClipSource, clips: int, slots: int) -> "_Slots":
        video, audio = (torch.from_numpy(array) for array in source.empty_batch(slots, clips))
        for tensor in (video, audio):
            tensor.share_memory_()  # type: ignore[no-untyped-call]
        return cls(video, audio)


class _Parts(Sampler[Part]):
    """The parts of a rank's batches, made here, so that no worker has to know all films; `issued` are on their way."""

    def __init__(self, plan: BatchPlan, steps: range, rank: int, world_size: int, slots: int) -> None:
        self._plan, self._steps, self._rank, self._world_size = plan, steps, rank, world_size
        self._slots = slots
        self.share = (rank + 1) * plan.config.batch_clips // world_size - rank * plan.config.batch_clips // world_size
        self.issued: deque[tuple[Part, Int64s]] = deque()

    def __iter__(self) -> Iterator[Part]:
        number = 0
        for step in self._steps:
            for clips in (
                self._plan.draw_batch(step).select_rank(self._rank, self._world_size).split_by_film(_PART_CLIPS)
            ):
                part = Part(tuple(clips), number % self._slots)
                self.issued.append((part, clips.film_N))
                yield part
                number += 1


class _Clips(Dataset[None]):
    """Reads a part into its slot."""

    def __init__(self, source: ClipSource, slots: _Slots) -> None:
        self._source, self._slots = source, slots

    def __getitem__(self, part: Part) -> None:
        clips = slice(len(part.requests))
        video, audio = self._slots.video_NBTPW[part.slot, clips], self._slots.audio_NBS[part.slot, clips]
        self._source.read_into(part.requests, video.numpy(), audio.numpy())


def _batch(parts: _Parts, slots: _Slots, read: Iterator[None]) -> ClipBatch:
    """Return the next parts as one batch, in page-locked memory where there is a GPU."""
    pinned = torch.cuda.is_available()
    video_BTPW, audio_BS = (
        torch.empty((parts.share, *array.shape[2:]), dtype=array.dtype, pin_memory=pinned)
        for array in (slots.video_NBTPW, slots.audio_NBS)
    )
    requests: list[ClipRequest] = []
    films: list[Int64s] = []
    while len(requests) < parts.share:
        next(read)
        part, film_N = parts.issued.popleft()
        place, clips = slice(len(requests), len(requests) + len(film_N)), slice(len(film_N))
        video_BTPW[place], audio_BS[place] = slots.video_NBTPW[part.slot, clips], slots.audio_NBS[part.slot, clips]
        requests += part.requests
        films.append(film_N)
    film_B = torch.from_numpy(np.concatenate(films)) if films else torch.zeros(0, dtype=torch.int64)
    return ClipBatch(tuple(requests), video_BTPW, audio_BS, film_B)
