"""A small cache that forgets what was not used for longest."""
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Lru(Generic[V]):
    """At most `limit` values by number; `load(key)` makes the ones that are missing."""

    def __init__(self, limit: int, load: Callable[[int], V]):
        self.limit = limit
        self.load = load
        self.values: OrderedDict[int, V] = OrderedDict()

    def get(self, key: int) -> V:
        value = self.values.get(key)
        if value is not None:
            self.values.move_to_end(key)
            return value
        value = self.load(key)
        if len(self.values) >= self.limit:
            self.values.popitem(last=False)
        self.values[key] = value
        return value
