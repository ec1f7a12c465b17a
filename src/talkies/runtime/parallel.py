"""Parallel work on this machine: a pool of processes for independent items, and a thread that prefetches items."""

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import TypeVar

import psutil

from talkies.core.errors import UsageError, WorkError

_POLL_SECONDS = 1.0
Item = TypeVar("Item")
Result = TypeVar("Result")


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` as each is done, in any order; what `function` raises is raised here.

    Args:
        function: the work, importable in another process.
        items: the arguments, picklable.
        workers: number of processes; a single worker is this process.

    Raises:
        UsageError: if `workers` is not positive.
        WorkError: if a worker process dies.
    """
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    if workers == 1 or len(items) < 2:
        for item in items:
            yield item, function(item)
        return

    # Workers are spawned, not forked: FFmpeg's and PyTorch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=context, initializer=exit_when_process_ends, initargs=(os.getpid(),)
    )
    with pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise WorkError(
                "a worker process died (out of memory, or killed); run the same command again to go on"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def exit_when_process_ends(process: int) -> None:
    """Let this process end, from now on, as soon as the process with that id has ended, even if it was killed."""

    def watch() -> None:
        while _is_alive(process):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_alive(process: int) -> bool:
    """Return whether a process runs; one that has ended counts as ended even before its exit status is read."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def prefetch(items: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Yield an iterator over `items` that a thread runs ahead; the thread ends with the block.

    What `items` raises is raised by the iterator.

    Args:
        items: the items to prefetch.
        depth: how many items the thread may be ahead.
    """
    waiting: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def run() -> None:
        try:
            for item in items:
                waiting.put((item, None))
                if stopped.is_set():
                    return
            waiting.put((None, StopIteration()))
        except BaseException as error:  # noqa: BLE001  # it is raised where the items are used
            waiting.put((None, error))

    def take_items() -> Iterator[Item]:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield take_items()
    finally:
        stopped.set()
        while thread.is_alive():  # empty the queue, so that the thread is not blocked and sees that it must stop
            with suppress(queue.Empty):
                waiting.get(timeout=0.01)
        thread.join()
