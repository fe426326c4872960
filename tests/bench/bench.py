"""What every part works with: sizes, rounds, the servers at hand, and the figures so far."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.bench.figures import Figure
from tests.bench.peers import AbsentError, Server


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each; a run of everything with these takes some twenty minutes."""

    rounds: int = 3
    images: int = 250  # of a series
    studies: int = 100_000  # in a full catalog
    peer_studies: int = 5_000  # in a peer's, which takes them one by one
    instances: int = 1_000_000  # in the cache of a gateway that starts
    postgres_studies: int = 0  # 0: not measured


@dataclass(slots=True)
class Bench:
    """One run; a part adds what it measured with `add`, once a round."""

    sizes: Sizes
    absent: list[str] = field(default_factory=list)
    _values: dict[tuple[str, str, str, str], list[float]] = field(default_factory=dict)

    def add(self, part: str, what: str, unit: str, who: str, value: float) -> None:
        """Note one measurement."""
        self._values.setdefault((part, what, unit, who), []).append(value)

    def figures(self) -> list[Figure]:
        """Return everything measured so far."""
        return [Figure(*key, tuple(values)) for key, values in self._values.items()]

    def lacks(self, words: str) -> None:
        """Note what cannot be measured here, and how to get it."""
        if words not in self.absent:
            self.absent.append(words)

    @contextmanager
    def servers(self, *starts: Callable[[], AbstractContextManager[Server]]) -> Iterator[list[Server]]:
        """Run the servers that can be had, all at once: they take turns at the same work."""
        with ExitStack() as stack:
            running = []
            for start in starts:
                try:
                    running.append(stack.enter_context(start()))
                except AbsentError as error:
                    self.lacks(str(error))
            yield running

    @staticmethod
    def say(words: str) -> None:
        """Tell whoever waits how far it is."""
        sys.stderr.write(f"  {words}\n")
        sys.stderr.flush()
