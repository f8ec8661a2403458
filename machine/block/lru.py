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
        self.put(key, value)
        return value

    def put(self, key: int, value: V) -> None:
        """Keep this value as the one last used."""
        self.values.pop(key, None)
        if len(self.values) >= self.limit:
            self.values.popitem(last=False)
        self.values[key] = value

    def take(self, key: int) -> V:
        """The value, no longer kept here."""
        value = self.values.pop(key, None)
        return self.load(key) if value is None else value

    def forget(self, key: int) -> None:
        self.values.pop(key, None)
