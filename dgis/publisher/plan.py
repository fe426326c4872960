"""Pure decisions of the publisher: how a series is cut into parts, and when a failed step is tried again."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_FIRST_RETRY_MS = 2_000
_LONGEST_RETRY_MS = 300_000


class Sized(Protocol):
    """Anything with a length in bytes."""

    @property
    def length(self) -> int:
        """Bytes of the data set."""


class Planned(Sized, Protocol):
    """An instance that is to be in a part."""

    @property
    def phi_instance_id(self) -> int:
        """Its row."""


Instance = TypeVar("Instance", bound=Sized)


def cut(
    instances: Iterable[Instance], part_bytes: int, part_instances: int = 10_000
) -> Iterator[list[Instance]]:
    """Yield parts of at most `part_bytes` raw bytes, in order; a larger instance is a part alone."""
    part: list[Instance] = []
    taken = 0
    for instance in instances:
        if part and (taken + instance.length > part_bytes or len(part) >= part_instances):
            yield part
            part, taken = [], 0
        part.append(instance)
        taken += instance.length
    if part:
        yield part


def retry_after_ms(attempts: int) -> int:
    """Return how long a part rests after its `attempts`-th failure: doubling, at most five minutes."""
    return min(_FIRST_RETRY_MS << min(max(attempts - 1, 0), 16), _LONGEST_RETRY_MS)
