"""What is kept of what was made: a bounded number, the least lately used given up first."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def _one(_: object) -> int:
    return 1


class LRUCache(Generic[Key, Value]):
    """Values by key, together at most `most` of `weight` (by default: so many); safe for threads.

    Several threads that want the same value at once wait for one of them to make it.
    """

    def __init__(self, most: int, weight: Callable[[Value], int] = _one) -> None:
        self._most, self._weight, self._weighs = most, weight, 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._making: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is not kept; what `make` raises is raised to all who wait for it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            there = self._making.get(key)
            future = there or self._making.setdefault(key, Future())
        if there is not None:
            return there.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, value)
        future.set_result(value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        with self._lock:
            self._keep(key, value)

    def _keep(self, key: Key, value: Value) -> None:
        if key in self._values:
            self._weighs -= self._weight(self._values.pop(key))
        self._values[key] = value
        self._weighs += self._weight(value)
        while self._weighs > self._most and len(self._values) > 1:
            self._weighs -= self._weight(self._values.popitem(last=False)[1])
