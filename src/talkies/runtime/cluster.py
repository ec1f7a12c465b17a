"""Spread independent work over a Ray cluster; Ray is an extra of the package."""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from talkies.core.errors import TalkiesError, UsageError, WorkError
from talkies.core.words import describe_os_error

Item = TypeVar("Item")
Result = TypeVar("Result")

_KNOCK_SECONDS = 5.0
_RETRIES = 3


def map_on_ray(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, address: str | None = None, cores: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` as each is done, in any order, `workers` at a time of `cores` cores each.

    Where no machine of the cluster has so many cores, a task takes all that the largest one has. Without `address` a
    cluster of this machine is started. `function` and the items must be importable and picklable on all of its
    machines, and the files that they speak of be there. A `TalkiesError` of `function` is raised here.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at `address`.
        WorkError: if the cluster fails, or none can be started here.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("the ray runner needs Ray; install it with: pip install 'talkies[cluster]'") from error
    own = not ray.is_initialized()
    if own:
        _join(ray, address)
    try:
        remote: Any = ray.remote(num_cpus=min(cores, _most_cores(ray)), max_retries=_RETRIES)(_guarded)
        waiting = list(reversed(items))
        running: dict[Any, Item] = {}
        while waiting or running:
            while waiting and len(running) < workers:
                item = waiting.pop()
                running[remote.remote(function, item)] = item
            ready, _ = ray.wait(list(running), num_returns=1)
            item, outcome = running.pop(ready[0]), ray.get(ready[0])
            if isinstance(outcome, TalkiesError):
                raise outcome
            yield item, outcome
    except ray.exceptions.RayError as error:
        raise WorkError(f"the Ray cluster failed ({type(error).__name__}); give the command again to go on") from error
    finally:
        if own:
            ray.shutdown()


def _join(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one of this machine."""
    if address:
        _knock(address)
    try:  # "local", for Ray would otherwise look for another's cluster first
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise WorkError(f"Ray cannot be started on this machine ({error}); run without --runner ray") from error
        raise UsageError(f"no Ray cluster answers at {address}; start one with: ray start --head") from error


def _most_cores(ray: Any) -> int:
    """Return how many cores the largest machine of a cluster has: a task that asks for more would wait for ever."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return max([1, *cores])


def _guarded(function: Callable[[Item], Result], item: Item) -> Result | TalkiesError:
    """Return a result, or what went wrong: Ray would wrap the error, and its sentence with it."""
    try:
        return function(item)
    except TalkiesError as error:
        return error


def _knock(address: str) -> None:
    """Do nothing if something listens at `host:port`: Ray itself takes minutes to say that nothing does.

    Raises:
        UsageError: if nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():  # "auto", "local": Ray knows where
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({describe_os_error(error)}); start one with: ray start --head"
        ) from error
