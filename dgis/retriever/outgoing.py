"""What goes out: an original from the cache, an original out of its seal, or the de-identified form."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from dgis.cache.extent import DamagedError, EvictedError
from dgis.cache.index import Cached, CacheIndex
from dgis.keyholder.client import KeyholderClient, NotRestored, Restored
from dgis.retriever.ranges import WORTH_BYTES, Ranged
from dgis.retriever.records import NotHere, Record
from storage_nodes.names import RecordKey

_log = structlog.get_logger(__name__)

Buffer = bytes | bytearray | memoryview
_KEPT_BYTES = WORTH_BYTES  # nearly every single-frame image


@dataclass(frozen=True, slots=True)
class Sendable:
    """One instance that is to be sent; `length` is in bytes, None where only opening it tells.

    `ranges` are its parts, where they can be had without the whole.
    """

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    length: int | None
    chunks: Callable[[], Iterable[Buffer]] = field(repr=False)
    ranges: Ranged | None = field(default=None, repr=False)

    def open(self) -> Iterable[Buffer]:
        """Yield the data set.

        Raises:
            NotHere: it cannot be had now; in words that name no image.
        """
        return self.chunks()


def cached_original(
    index: CacheIndex, cached: Cached, otherwise: Callable[[], Iterable[Buffer]]
) -> Iterator[Buffer]:
    """Yield an original from the cache; evicted since it was looked up, or damaged there, from elsewhere.

    It is compared with the digest it was received with before its first byte leaves: a disk may rot, and no
    byte may leave that the sender did not send. What is too large to be kept meanwhile is read twice.
    """
    try:
        with index.open(cached.location) as extent:
            if len(extent) <= _KEPT_BYTES:
                yield extent.whole()
                return
            extent.check()
            yield from extent.chunks()
            return
    except EvictedError:
        pass
    except DamagedError:
        _log.error("cached_original_damaged", segment=cached.location.segment_id)
    yield from otherwise()


class SealedRun:
    """Neighbouring originals of one record, restored with one request as long as they are taken in order."""

    def __init__(self, keyholder: KeyholderClient, key: RecordKey, positions: Sequence[int]) -> None:
        self._keyholder = keyholder
        self._key = key
        self._positions = tuple(positions)
        self._answers: Iterator[Restored | NotRestored] = iter(())
        self._next = -1

    def chunks(self, place: int) -> Iterator[Buffer]:
        """Yield the original at a place of the run.

        Raises:
            NotHere: it cannot be restored now, or never again.
            dgis.keyholder.protocol.KeyholderGone: no worker answers.
        """
        if place != self._next:
            self._answers = self._keyholder.restore(self._key, self._positions[place:])
        self._next = -1  # until this one is taken whole, the stream stands somewhere in it
        answer = next(self._answers, None)
        if answer is None:
            raise NotHere("the worker gave no answer")
        if isinstance(answer, NotRestored):
            self._next = place + 1
            raise NotHere(answer.reason)
        yield from answer.chunks
        self._next = place + 1


def deidentified(record: Callable[[], Record], position: int) -> Iterator[Buffer]:
    """Yield the de-identified form of an instance from its record."""
    yield from record().dataset(position)
