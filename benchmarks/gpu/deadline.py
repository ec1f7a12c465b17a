"""Ending a training at a time."""

import time
from collections.abc import Callable


class TimeIsUpError(Exception):
    """Ends a training at its deadline; its newest checkpoint stays."""


def stop_after(seconds: float) -> Callable[[int], None]:
    """Return a function to call after each step, which raises `TimeIsUpError` once that many seconds have passed."""
    deadline = time.monotonic() + seconds

    def stop_in_time(_step: int) -> None:
        if time.monotonic() > deadline:
            raise TimeIsUpError

    return stop_in_time
