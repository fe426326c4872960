"""Whose cache this is, and by which clock and patience it works."""

from collections.abc import Callable
from dataclasses import dataclass

from dgis.cache.publish_queue import Patience


@dataclass(frozen=True, slots=True)
class Owner:
    """One gateway among those that share a database; `clock_ms` gives epoch milliseconds."""

    gateway_id: str
    patience: Patience
    clock_ms: Callable[[], int]
