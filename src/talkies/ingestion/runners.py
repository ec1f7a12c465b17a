"""Run the films of an ingest: on this machine, in isolated processes watched by threads, or on a Ray cluster.

Both runners call the same function for each film, `ingest_film`.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from talkies.core import SourceError, TalkiesError, WorkError
from talkies.ingestion.film import FailedFilm, FilmTask, IngestedFilm, ingest_film
from talkies.runtime import IsolatedProcess, count_cores, map_on_ray

Outcome = IngestedFilm | FailedFilm
OnProgress = Callable[[FilmTask, float], None]
"""Receives a film's task and how many seconds of the film are done, now and then."""

_POLL_SECONDS = 0.2


def share_threads(workers: int) -> int:
    """Return how many threads each of `workers` may decode with, so that together they do not exceed the cores."""
    return max(1, count_cores() // workers)


def run_locally(tasks: Sequence[FilmTask], workers: int, on_progress: OnProgress) -> Iterator[tuple[FilmTask, Outcome]]:
    """Yield the outcome of each task, in any order, as `workers` isolated processes of this machine finish them.

    Raises:
        WorkError: if the library cannot be written; films that were finished stay in it.
    """
    with _WorkerPool(tasks, min(workers, len(tasks)), on_progress) as wait_for_next:
        for _ in tasks:
            task, outcome = wait_for_next()
            if isinstance(outcome, TalkiesError):
                raise outcome
            yield task, outcome


class _WorkerPool:
    """Threads that each run films in an isolated process.

    As a context it returns a function that waits for the next outcome.
    """

    def __init__(self, tasks: Sequence[FilmTask], count: int, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._waiting: queue.SimpleQueue[FilmTask] = queue.SimpleQueue()
        for task in tasks:
            self._waiting.put(task)
        self._finished: queue.SimpleQueue[tuple[FilmTask, Outcome | TalkiesError]] = queue.SimpleQueue()

        self._processes = [IsolatedProcess(tasks[0].config.worker.limits) for _ in range(count)]
        self._threads = [threading.Thread(target=self._run, args=(p,), daemon=True) for p in self._processes]

    def __enter__(self) -> Callable[[], tuple[FilmTask, Outcome | TalkiesError]]:
        for thread in self._threads:
            thread.start()
        return self._wait_for_next

    def __exit__(self, *_: object) -> None:
        while not self._waiting.empty():
            with suppress(queue.Empty):
                self._waiting.get_nowait()
        for process in self._processes:
            process.close()
        for thread in self._threads:
            thread.join()

    def _wait_for_next(self) -> tuple[FilmTask, Outcome | TalkiesError]:
        while True:
            with suppress(queue.Empty):
                return self._finished.get(timeout=_POLL_SECONDS)  # not for ever, so that Ctrl-C is noticed

    def _run(self, isolated: IsolatedProcess) -> None:
        while True:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._finished.put((task, _run_task(task, isolated, self._on_progress)))


def _run_task(task: FilmTask, isolated: IsolatedProcess, on_progress: OnProgress) -> Outcome | TalkiesError:
    """Return the outcome of one film, or the error that stops the ingest."""
    try:
        return ingest_film(task, isolated, lambda seconds: on_progress(task, seconds))
    except SourceError as error:
        return FailedFilm(task.source, str(error))
    except TalkiesError as error:
        return error
    except Exception as error:  # noqa: BLE001  # a thread must not end without reporting an outcome
        return WorkError(f"{task.source.printable_name} could not be ingested ({type(error).__name__}: {error})")


def run_on_ray(
    tasks: Sequence[FilmTask], workers: int, on_progress: OnProgress, address: str | None = None
) -> Iterator[tuple[FilmTask, Outcome]]:
    """Yield the outcome of each task, in any order, as a Ray cluster finishes them, `workers` at a time.

    Without `address` a cluster is started on this machine. All machines of the cluster must reach the library.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at `address`.
        WorkError: if the library cannot be written, or the cluster fails.
    """
    for task, outcome in map_on_ray(run_ray_task, tasks, workers, address, tasks[0].threads):
        if isinstance(outcome, TalkiesError):
            raise outcome
        on_progress(task, 0.0)
        yield task, outcome


def run_ray_task(task: FilmTask) -> Outcome | TalkiesError:
    """Run one task on a machine of a cluster, in an isolated process."""
    with IsolatedProcess(task.config.worker.limits) as isolated:
        return _run_task(task, isolated, lambda _task, _seconds: None)
