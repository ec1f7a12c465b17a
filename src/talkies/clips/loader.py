"""Load the batches of a training plan, in worker processes or in this one."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from talkies.clips.source import ClipSource
from talkies.clips.workers import read_by_workers
from talkies.config import Config
from talkies.core import ClipBatch, ClipRequest, ClipStarts
from talkies.media.cuda_reader import check_cuda_decoding
from talkies.runtime import count_cores
from talkies.sampling import BatchPlan, BatchRequests

_PART_CLIPS = 32  # the most clips that a worker reads at a time, unless a film has more in a batch
_MOST_WORKERS = 16
_MOST_CUDA_WORKERS = 4  # a GPU has one to seven decoders, which several processes keep busy


class LoaderConfig(Config):
    """How many processes decode clips, how far ahead they read, and what they hold in memory.

    `workers` is 0 to decode in the training process, or auto for one per core except the one that trains; each reads
    `prefetch` parts of a batch ahead.

    `decoder` is `cuda` to decode pictures on a GPU, with torchcodec: clips are the same to the bit. Each worker then
    needs several hundred MB of the GPU's memory, so auto takes at most four of them.

    `memory_mib` is how many MiB of decoded films each process that reads may hold: for small libraries and many passes.
    The first films that fit are decoded once and stay; the others are read from their files. No batch changes. A film
    takes 1.5 bytes for each pixel of its proxy's frames, and 2 for each sample.
    """

    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    prefetch: Annotated[int, Field(ge=1, le=64)] = 2
    decoder: Literal["cpu", "cuda"] = "cpu"
    memory_mib: Annotated[int, Field(ge=0)] = 0

    def count_workers(self, cores: int, processes: int = 1) -> int:
        """Return how many workers each of `processes` training processes has on a machine with `cores` cores."""
        if self.workers != "auto":
            return self.workers
        most = _MOST_WORKERS if self.decoder == "cpu" else _MOST_CUDA_WORKERS
        return min(most, max(1, cores // processes - 1))


def check_decoder(config: LoaderConfig, source: ClipSource, plan: BatchPlan) -> None:
    """Check that this machine decodes films of a plan as the config says.

    Raises:
        ConfigError: if it cannot.
    """
    if config.decoder == "cuda":
        check_cuda_decoding(source.library.proxy_path(plan.films.film_ids[0]))


def load_batches(
    source: ClipSource, plan: BatchPlan, steps: range, config: LoaderConfig, *, rank: int = 0, world_size: int = 1
) -> Generator[ClipBatch, None, None]:
    """Yield this rank's share of the batches of `steps`, in order; they do not depend on the number of workers.

    `film_B` of a batch has the numbers of the films in the plan, so a film has the same number in every batch.
    The films of a batch are divided into consecutive runs among the ranks, and among a rank's workers: one worker
    reads all clips of a film, in the order of time. Memory depends on the workers, not on the size of a batch.

    Args:
        source: Reads the clips; from then on it holds films in memory, and decodes on the GPU, if `config` says so.
        plan: Which clips each batch holds.
        steps: The training steps whose batches are loaded.
        config: How many workers read, how far ahead, and how much of the films they hold in memory.
        rank: The number of this training process.
        world_size: The number of training processes.

    Raises:
        MediaError: if a film cannot be read.
        WorkError: if a worker process dies.
    """
    if config.decoder == "cuda":
        source.decode_on(f"cuda:{torch.cuda.current_device()}")
    if config.memory_mib:
        source.hold_films(config.memory_mib)
    processes_here = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))  # set by `torchrun`
    workers = min(config.count_workers(count_cores(), processes_here), len(steps))
    # One slot more than are being read, for the one that is being copied: no part is overwritten before its copy.
    slots = _Slots.allocate(source, max(_PART_CLIPS, plan.most_clips_per_film), workers * config.prefetch + 1)
    parts = _PartSampler(plan, steps, rank=rank, world_size=world_size, slots=len(slots.video_NBTPW))
    read_parts = read_by_workers(_PartDataset(source, slots), workers, config.prefetch, parts)
    for _ in steps:
        yield _assemble_batch(parts, slots, read_parts)


@dataclass(frozen=True, slots=True)
class Part:
    """Clips of whole films that a worker reads together, and the slot that it reads them into."""

    requests: tuple[ClipRequest, ...]
    slot: int


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """Memory shared by all processes: N slots for B clips each, used again and again.

    Mapping new memory for each part would take a tenth of the time of decoding.
    """

    video_NBTPW: Tensor
    audio_NBS: Tensor

    @classmethod
    def allocate(cls, source: ClipSource, clips: int, slots: int) -> "_Slots":
        video, audio = (torch.from_numpy(array) for array in source.empty_batch(slots, clips))
        for tensor in (video, audio):
            tensor.share_memory_()  # type: ignore[no-untyped-call]
        return cls(video, audio)


class _PartSampler(Sampler[Part]):
    """The parts of a rank's batches, made in this process so that workers need not know all films.

    `issued` holds those that are being read, and `starts` what all ranks' batches are that they belong to.
    """

    def __init__(self, plan: BatchPlan, steps: range, *, rank: int, world_size: int, slots: int) -> None:
        self._plan, self._steps, self._rank, self._world_size = plan, steps, rank, world_size
        self._slots = slots
        batch_clips = plan.config.batch_clips
        self.share = (rank + 1) * batch_clips // world_size - rank * batch_clips // world_size
        self.issued: deque[tuple[Part, BatchRequests]] = deque()
        self.starts: deque[ClipStarts] = deque()

    def __iter__(self) -> Iterator[Part]:
        number = 0
        for step in self._steps:
            batch = self._plan.draw_batch(step)
            self.starts.append(ClipStarts(batch.film_N, batch.start_N))
            for clips in batch.select_rank(self._rank, self._world_size).split_by_film(_PART_CLIPS):
                part = Part(tuple(clips), number % self._slots)
                self.issued.append((part, clips))
                yield part
                number += 1


class _PartDataset(Dataset[None]):
    """Reads a part into its slot."""

    def __init__(self, source: ClipSource, slots: _Slots) -> None:
        self._source, self._slots = source, slots

    def __getitem__(self, part: Part) -> None:
        clips = slice(len(part.requests))
        video, audio = self._slots.video_NBTPW[part.slot, clips], self._slots.audio_NBS[part.slot, clips]
        self._source.read_into(part.requests, video.numpy(), audio.numpy())


def _assemble_batch(parts: _PartSampler, slots: _Slots, read_parts: Iterator[None]) -> ClipBatch:
    """Return the next parts as one batch, in page-locked memory where there is a GPU."""
    pinned = torch.cuda.is_available()
    video_BTPW, audio_BS = (
        torch.empty((parts.share, *array.shape[2:]), dtype=array.dtype, pin_memory=pinned)
        for array in (slots.video_NBTPW, slots.audio_NBS)
    )
    requests: list[ClipRequest] = []
    film_B, start_B = (torch.empty(parts.share, dtype=torch.int64, pin_memory=pinned) for _ in range(2))
    while len(requests) < parts.share:
        next(read_parts)
        part, read = parts.issued.popleft()
        place, clips = slice(len(requests), len(requests) + len(read)), slice(len(read))
        video_BTPW[place] = slots.video_NBTPW[part.slot, clips]
        audio_BS[place] = slots.audio_NBS[part.slot, clips]
        requests += part.requests
        film_B[place], start_B[place] = torch.from_numpy(read.film_N), torch.from_numpy(read.start_N)
    return ClipBatch(tuple(requests), video_BTPW, audio_BS, film_B, start_B, parts.starts.popleft())
