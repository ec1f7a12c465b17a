"""Spread independent work over processes of this machine."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from talkies.core.errors import UsageError, WorkError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` as each is done, in any order; one worker works in this very process.

    `function` and the items must be importable and picklable. What `function` raises is raised here.

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
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context) as pool:
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
