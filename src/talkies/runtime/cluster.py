"""Run independent work on a Ray cluster; Ray is an optional extra of the package."""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from talkies.core.errors import TalkiesError, UsageError, WorkError
from talkies.core.words import describe_os_error

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_SECONDS = 5.0
_RETRIES = 3


def map_on_ray(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, address: str | None = None, cores: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` as each is done, in any order; a `TalkiesError` of `function` is raised here.

    Args:
        function: the work, importable on all machines of the cluster.
        items: the arguments, picklable; files that they name must exist on all machines.
        workers: how many items are worked on at a time.
        address: the cluster's address; None starts a cluster on this machine.
        cores: cores for each item; at most all cores of the largest machine.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at `address`.
        WorkError: if the cluster fails, or cannot be started here.
    """
    with open_cluster(address) as ray:
        remote: Any = ray.remote(num_cpus=min(cores, _count_cores(ray)), max_retries=_RETRIES)(_call_safely)
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


@contextmanager
def open_cluster(address: str | None) -> Iterator[Any]:
    """Yield the module `ray`, connected to the cluster at an address; None starts a cluster on this machine.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at `address`.
        WorkError: if the cluster fails within the block, or cannot be started here.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("the ray runner needs Ray; install it with: pip install 'talkies[cluster]'") from error
    joined = not ray.is_initialized()
    if joined:
        _join_cluster(ray, address)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise WorkError(
            f"the Ray cluster failed ({type(error).__name__}); run the same command again to go on"
        ) from error
    finally:
        if joined:
            ray.shutdown()


def _join_cluster(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one on this machine."""
    if address:
        _check_address(address)
    try:  # "local", because otherwise Ray first looks for a running cluster
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise WorkError(f"Ray cannot be started on this machine ({error}); run without --runner ray") from error
        raise UsageError(f"no Ray cluster answers at {address}; start one with: ray start --head") from error


def _count_cores(ray: Any) -> int:
    """Return how many cores the largest machine of the cluster has: a task that needs more would wait forever."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return max([1, *cores])


def _call_safely(function: Callable[[Item], Result], item: Item) -> Result | TalkiesError:
    """Return the result, or the error: if it were raised, Ray would wrap it and its sentence."""
    try:
        return function(item)
    except TalkiesError as error:
        return error


def _check_address(address: str) -> None:
    """Check that something listens at `host:port`: Ray itself takes minutes to find out.

    Raises:
        UsageError: if nothing listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():  # "auto" or "local": Ray finds the cluster itself
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({describe_os_error(error)}); start one with: ray start --head"
        ) from error
