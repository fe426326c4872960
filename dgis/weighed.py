"""Things worth keeping in memory up to a bound: what was used last stays."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Thing = TypeVar("Thing")

_MAKERS = 16


class Weighed(Generic[Name, Thing]):
    """Keeps things by name as long as together they weigh no more than a bound; for any number of threads.

    Args:
        most: the bound, in the unit of `weight`; what alone is heavier is not kept.
        weight: what one thing weighs.
    """

    def __init__(self, most: int, weight: Callable[[Thing], int]) -> None:
        self._most = most
        self._weight = weight
        self._lock = threading.Lock()
        self._making = [threading.Lock() for _ in range(_MAKERS)]
        self._kept: OrderedDict[Name, Thing] = OrderedDict()
        self._sum = 0

    def get(self, name: Name, make: Callable[[], Thing]) -> Thing:
        """Return a thing, made where it is not kept; those who ask for it together have it made once.

        Raises:
            Exception: what making it raises.
        """
        found = self._find(name)
        if found is None:
            with self._making[hash(name) % _MAKERS]:
                found = self._find(name)
                if found is None:
                    found = make()
                    self._keep(name, found)
        return found

    def _find(self, name: Name) -> Thing | None:
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def _keep(self, name: Name, thing: Thing) -> None:
        weight = self._weight(thing)
        if weight > self._most:
            return
        with self._lock:
            self._kept[name] = thing
            self._sum += weight
            while self._sum > self._most:
                _name, gone = self._kept.popitem(last=False)
                self._sum -= self._weight(gone)
