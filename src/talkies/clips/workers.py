"""Processes that read ahead of the one that trains or encodes: what they read comes in order, as do their errors."""

import os
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from talkies.core import TalkiesError, WorkError
from talkies.runtime import exit_when_process_ends

_Read = TypeVar("_Read")


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_by_workers(
    dataset: Dataset[_Read], workers: int, prefetch: int = 2, sampler: Sampler[Any] | None = None
) -> Iterator[_Read]:
    """Yield the items of a data set in order; `workers` processes (0: this one) are `prefetch` items ahead each.

    What goes wrong in a worker is raised here.

    Raises:
        WorkError: if a worker dies.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores: `doctor` says it
        loading: DataLoader[_Read | _Failed] = DataLoader(
            _Guarded(dataset),
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=partial(_begin_worker, os.getpid()),
        )
        items = iter(loading)
    return _taken(items)


class _Failed:
    """What went wrong with an item; handed over, for PyTorch would remake the error wrongly."""

    def __init__(self, error: TalkiesError) -> None:
        self.error = error


class _Guarded(Dataset[_Read | _Failed]):
    def __init__(self, dataset: Dataset[_Read]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]  # asked for only where there is no sampler

    def __getitem__(self, key: Any) -> _Read | _Failed:
        try:
            return self._dataset[key]
        except TalkiesError as error:
            return _Failed(error)


def _taken(items: Iterator[_Read | _Failed]) -> Iterator[_Read]:
    try:
        for item in items:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # an error of ours, which PyTorch words "in DataLoader worker …"
            raise
        raise WorkError(
            "a process that reads clips died (out of memory or of /dev/shm, or killed); "
            "give the command again, with fewer loader.workers or a smaller loader.prefetch"
        ) from error


def _begin_worker(reading_for: int, _: int) -> None:
    """Make a worker process one of a single thread that ends with the process it reads for.

    PyTorch's workers look whether their parent is there, but theirs is the fork server, which waits for them.
    """
    torch.set_num_threads(1)
    exit_when_process_ends(reading_for)
