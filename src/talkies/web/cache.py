"""A bounded cache that drops the least recently used values and computes each value once across threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def _count_as_one(_: object) -> int:
    return 1


class LRUCache(Generic[Key, Value]):
    """Thread-safe cache of values by key whose total weight is at most `max_weight`.

    By default each value weighs 1, so that `max_weight` is a number of values. The newest value is kept even if it
    exceeds the limit by itself. Threads that want the same missing value wait for one of them to compute it.
    """

    def __init__(self, max_weight: int, weigh: Callable[[Value], int] = _count_as_one) -> None:
        self._max_weight = max_weight
        self._weigh = weigh
        self._total_weight = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._pending: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """Return the value of a key, computed if it is not cached; an error of `compute` reaches all who wait."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            other = self._pending.get(key)
            future = other or self._pending.setdefault(key, Future())

        # Another thread is already computing this value.
        if other is not None:
            return other.result()

        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            future.set_exception(error)
            raise

        with self._lock:
            del self._pending[key]
            self._store(key, value)
        future.set_result(value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store a value."""
        with self._lock:
            self._store(key, value)

    def _store(self, key: Key, value: Value) -> None:
        if key in self._values:
            self._total_weight -= self._weigh(self._values.pop(key))
        self._values[key] = value
        self._total_weight += self._weigh(value)

        while self._total_weight > self._max_weight and len(self._values) > 1:
            _, dropped = self._values.popitem(last=False)
            self._total_weight -= self._weigh(dropped)
