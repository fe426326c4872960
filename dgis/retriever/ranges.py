"""Parts of large originals in the cache, each compared before it leaves."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol

from dgis.cache.extent import DamagedError, EvictedError
from dgis.cache.index import Cached, CacheIndex
from dgis.cache.pieces import Pieces, proven
from dgis.cache.values import Location
from dgis.weighed import Weighed

WORTH_BYTES = 4 << 20
"""Of a data set: a smaller one is read whole with one read."""

_MOST_DIGEST_BYTES = 16 << 20  # of pieces of 32 GB


class NoRangesError(Exception):
    """Parts cannot be had any more, the whole may be; the text names no image."""


class Ranged(Protocol):
    """A data set of which parts can be read."""

    @property
    def name(self) -> Hashable:
        """Names these very bytes, in this process: no others are ever found by it."""

    @property
    def length(self) -> int:
        """Bytes of it."""

    def read(self, start: int, length: int) -> memoryview:
        """Return a part, shorter at the end of the data set.

        Raises:
            NoRangesError: not from here any more: it was evicted, or the bytes are not what was received.
            OSError: the disk does not give it.
        """


class CachedRanges:
    """Opens parts of what lies in the cache.

    The first part of an instance costs one reading of the whole of it, for only the whole can be compared
    with the digest it was received with; every other costs the pieces it lies in, for as long as this
    process remembers their digests. No original and no key is kept.
    """

    def __init__(self, index: CacheIndex, worth_bytes: int = WORTH_BYTES) -> None:
        self._index = index
        self._worth_bytes = worth_bytes
        self._proven: Weighed[Location, Pieces] = Weighed(_MOST_DIGEST_BYTES, lambda each: len(each.digests))

    def of(self, cached: Cached) -> Ranged | None:
        """Return the parts of a cached instance; None where it is read as well whole."""
        return _InCache(self, cached.location) if cached.location.length > self._worth_bytes else None

    def read(self, location: Location, start: int, length: int) -> memoryview:
        """Return a part of an instance.

        Raises:
            NoRangesError, OSError: as `Ranged.read`.
        """
        try:
            with self._index.open(location) as extent:
                pieces = self._proven.get(location, lambda: proven(extent))
                return pieces.read(extent, start, length)
        except (EvictedError, DamagedError) as error:
            raise NoRangesError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _InCache:
    ranges: CachedRanges = field(repr=False)
    location: Location

    @property
    def name(self) -> Hashable:
        return self.location

    @property
    def length(self) -> int:
        return self.location.length

    def read(self, start: int, length: int) -> memoryview:
        return self.ranges.read(self.location, start, length)
