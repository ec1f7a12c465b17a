"""Worker processes that read ahead of the process that trains or encodes; items and errors come in order."""

import multiprocessing
import os
import warnings
from collections.abc import Iterator
from functools import partial
from multiprocessing.forkserver import ensure_running
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from talkies.core import TalkiesError, WorkError
from talkies.runtime import exit_when_process_ends

_Item = TypeVar("_Item")
_PRELOADED = ["__main__", "talkies.clips"]
"""What the process that workers are forked from imports; `__main__` is what Python has it import anyway."""


def prepare_workers() -> None:
    """Start the process that workers are forked from, so that it imports while this process does other work.

    It lives as long as this process; workers that start later need not import anything.
    """
    multiprocessing.set_forkserver_preload(_PRELOADED)
    ensure_running()


def read_by_workers(
    dataset: Dataset[_Item], workers: int, prefetch: int = 2, sampler: Sampler[Any] | None = None
) -> Iterator[_Item]:
    """Yield the items of a data set in order; an error in a worker is raised here.

    Args:
        dataset: Reads an item by its key.
        workers: How many processes read; 0 reads in this process.
        prefetch: How many items each worker reads ahead.
        sampler: The keys in order; None takes 0, 1, 2, ….

    Raises:
        WorkError: if a worker dies.
    """
    if workers:
        prepare_workers()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: `doctor` warns
        loading: DataLoader[_Item | _Failure] = DataLoader(
            _GuardedDataset(dataset),
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=partial(_start_worker, os.getpid()),
        )
        items = iter(loading)
    return _raise_failures(items)


class _Failure:
    """The error that reading an item raised; sent as an item, because PyTorch would rebuild the error wrongly."""

    def __init__(self, error: TalkiesError) -> None:
        self.error = error


class _GuardedDataset(Dataset[_Item | _Failure]):
    """Returns the errors of a data set instead of raising them."""

    def __init__(self, dataset: Dataset[_Item]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]  # needed only where there is no sampler

    def __getitem__(self, key: Any) -> _Item | _Failure:
        try:
            return self._dataset[key]
        except TalkiesError as error:
            return _Failure(error)


def _raise_failures(items: Iterator[_Item | _Failure]) -> Iterator[_Item]:
    try:
        for item in items:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # an error of ours, which PyTorch words "in DataLoader worker …"
            raise
        raise WorkError(
            "a process that reads clips died (out of memory or of /dev/shm, or killed); "
            "run the command again with fewer loader.workers or a smaller loader.prefetch"
        ) from error


def _start_worker(reading_for: int, _: int) -> None:
    """Limit a worker process to one thread, and let it end with the process that it reads for.

    PyTorch's workers watch their parent, but theirs is the fork server, which waits for them.
    """
    torch.set_num_threads(1)
    exit_when_process_ends(reading_for)
