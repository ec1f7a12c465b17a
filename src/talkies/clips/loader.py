"""Load the batches of a plan, in worker processes or in this one."""

import os
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated, Literal

import psutil
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from talkies.clips.source import ClipSource
from talkies.config import Config
from talkies.core import ClipBatch, ClipRequest, FilmId, TalkiesError, WorkError
from talkies.sampling import BatchPlan

Part = tuple[tuple[ClipRequest, ...], dict[FilmId, int]]
"""The clips that a worker reads at once, and the numbers of their films."""

_PART_CLIPS = 32  # a part that one worker reads at a time, if a film has not more clips in a batch
_MOST_WORKERS = 16
_POLL_SECONDS = 1.0


class LoaderConfig(Config):
    """`workers` processes decode (0: this one; auto: one for each core but the one that trains), and each is
    `prefetch` parts of a batch ahead.
    """  # noqa: D205

    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    prefetch: Annotated[int, Field(ge=1, le=64)] = 2

    def workers_on(self, cores: int, processes: int = 1) -> int:
        """Return how many workers each of `processes` training processes has on a machine of so many cores."""
        if self.workers != "auto":
            return self.workers
        return min(_MOST_WORKERS, max(1, cores // processes - 1))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loader(
    source: ClipSource, plan: BatchPlan, steps: range, config: LoaderConfig, rank: int = 0, world_size: int = 1
) -> Iterator[ClipBatch]:
    """Yield this rank's share of the batches of `steps`, in order; the number of workers changes nothing in them.

    The films of a batch are dealt to the ranks, and to a rank's workers, in runs: all clips of a film are read by one
    worker in the order of time. What is in flight is bounded by the workers, not by the size of a batch.
    """
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))  # as `torchrun` tells it: processes on this machine
    workers = min(config.workers_on(cores(), beside), len(steps))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores: `doctor` says it
        loading: DataLoader[ClipBatch | TalkiesError] = DataLoader(
            _Clips(source),
            batch_size=None,
            sampler=_Parts(plan, steps, rank, world_size),
            num_workers=workers,
            prefetch_factor=config.prefetch if workers else None,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=partial(_begin_worker, os.getpid()),
        )
        arriving = iter(loading)
    share = (rank + 1) * plan.config.batch_clips // world_size - rank * plan.config.batch_clips // world_size
    parts = _arriving(arriving)
    for _ in steps:
        yield _joined(parts, share)


class _Parts(Sampler[Part]):
    """The parts of a rank's batches, each some whole films: made here, so that no worker has to know all films."""

    def __init__(self, plan: BatchPlan, steps: range, rank: int, world_size: int) -> None:
        self._plan, self._steps, self._rank, self._world_size = plan, steps, rank, world_size

    def __iter__(self) -> Iterator[Part]:
        for step in self._steps:
            for part in self._plan.batch(step).of_rank(self._rank, self._world_size).by_film(_PART_CLIPS):
                requests = tuple(part)
                yield requests, dict(zip((r.film_id for r in requests), part.film_N.tolist(), strict=True))


class _Clips(Dataset["ClipBatch | TalkiesError"]):
    """The clips of a part; an error is handed over, for PyTorch would remake it wrongly."""

    def __init__(self, source: ClipSource) -> None:
        self._source = source

    def __getitem__(self, part: Part) -> ClipBatch | TalkiesError:
        try:
            return self._source.batch(*part)
        except TalkiesError as error:
            return error


def _arriving(loading: Iterable[ClipBatch | TalkiesError]) -> Iterator[ClipBatch]:
    """Yield the parts as they come; what went wrong in a worker is raised here."""
    try:
        for part in loading:
            if isinstance(part, TalkiesError):
                raise part
            yield part
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # an error of ours, which PyTorch words "in DataLoader worker …"
            raise
        raise WorkError(
            "a process that reads clips died (out of memory or of /dev/shm, or killed); "
            "give the command again, with fewer loader.workers or a smaller loader.prefetch"
        ) from error


def _joined(parts: Iterator[ClipBatch], clips: int) -> ClipBatch:
    """Return the next parts as one batch of that many clips, in page-locked memory where there is a GPU."""
    taken: list[ClipBatch] = []
    while sum(map(len, taken)) < clips:
        taken.append(next(parts))
    if len(taken) == 1:
        return taken[0].pin_memory() if torch.cuda.is_available() else taken[0]

    def joined(tensors: Sequence[Tensor]) -> Tensor:
        first = tensors[0]
        whole = torch.empty((clips, *first.shape[1:]), dtype=first.dtype, pin_memory=torch.cuda.is_available())
        return torch.cat(list(tensors), out=whole)

    return ClipBatch(
        tuple(request for part in taken for request in part.requests),
        joined([part.video_BTPW for part in taken]),
        joined([part.audio_BS for part in taken]),
        joined([part.film_B for part in taken]),
    )


def _begin_worker(training: int, _: int) -> None:
    """Make a worker process one of a single thread that ends with the training process, even if that is killed.

    PyTorch's workers look whether their parent is there, but theirs is the fork server, which waits for them.
    """
    torch.set_num_threads(1)

    def watch() -> None:
        while psutil.pid_exists(training):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
