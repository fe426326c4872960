"""From what the catalog resolved to what is sent: cache first, else the nodes; nothing is opened early."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby, repeat

import sqlalchemy as sa

from catalog.retrieve import InstanceRef
from dgis.cache.index import Cached, CacheIndex
from dgis.keyholder.client import KeyholderClient
from dgis.retriever.outgoing import Buffer, SealedRun, Sendable, cached_original, deidentified
from dgis.retriever.ranges import CachedRanges, Ranged
from dgis.retriever.records import NotHere, Record, Shelf, read_ahead_bytes
from storage_nodes.names import RecordKey

Chunks = Callable[[], Iterable[Buffer]]


class Retriever:
    """Turns references into instances that can be opened one after another."""

    def __init__(
        self,
        engine: sa.Engine,
        index: CacheIndex,
        shelf: Shelf,
        keyholder: KeyholderClient,
        clock_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._index = index
        self._ranges = CachedRanges(index)
        self._shelf = shelf
        self._keyholder = keyholder
        self._clock_ms = clock_ms

    def prepare(self, refs: Sequence[InstanceRef]) -> list[Sendable]:
        """Return what is to be sent, in the order of the references; bytes are touched when one is opened."""
        cached = self._cached(refs)
        prepared: list[Sendable] = []
        record = cache(self._shelf.record)  # opened once for this retrieve, when its first instance leaves
        for key, run in groupby(refs, key=lambda ref: (ref.original, ref.record_key)):
            original, record_key = key
            make = self._originals if original else partial(self._deidentified, record)
            prepared += make(record_key, list(run), cached)
        return prepared

    def _cached(self, refs: Sequence[InstanceRef]) -> dict[int, Cached]:
        wanted = [ref.phi_instance_id for ref in refs if ref.phi_instance_id is not None]
        if not wanted:
            return {}
        with self._engine.connect() as connection:
            found = self._index.locate(connection, wanted)
        now_ms = self._clock_ms()
        for series_id in {each.phi_series_id for each in found.values()}:
            self._index.used(series_id, now_ms)
        return found

    def _originals(
        self, record_key: str | None, refs: Sequence[InstanceRef], cached: dict[int, Cached]
    ) -> Iterator[Sendable]:
        sealed = self._sealed(record_key, [ref for ref in refs if ref.phi_instance_id not in cached])
        for ref in refs:
            here = cached.get(ref.phi_instance_id or 0)
            if here is None:
                yield _sendable(ref, next(sealed))
            else:
                (otherwise,) = self._sealed(record_key, [ref])
                chunks = partial(cached_original, self._index, here, otherwise)
                yield _sendable(ref, chunks, self._ranges.of(here))

    def _sealed(self, record_key: str | None, refs: Sequence[InstanceRef]) -> Iterator[Chunks]:
        """Return how each original is had from its seal: neighbours share one request."""
        if record_key is None:
            return repeat(_unpublished, len(refs))
        positions = [ref.position if ref.position is not None else -1 for ref in refs]
        run = SealedRun(self._keyholder, RecordKey(record_key), positions)
        return (partial(run.chunks, place) for place in range(len(refs)))

    def _deidentified(
        self,
        record: Callable[[RecordKey, int], Record],
        record_key: str | None,
        refs: Sequence[InstanceRef],
        _cached: dict[int, Cached],
    ) -> Iterator[Sendable]:
        ahead = read_ahead_bytes(len(refs))
        for ref in refs:
            assert record_key is not None, "a de-identified row is written with its record"
            assert ref.position is not None, "and with its place in it"
            opened = partial(record, RecordKey(record_key), ahead)
            yield _sendable(ref, partial(deidentified, opened, ref.position))


def _sendable(ref: InstanceRef, chunks: Chunks, ranges: Ranged | None = None) -> Sendable:
    return Sendable(
        ref.sop_class_uid, ref.sop_instance_uid, ref.transfer_syntax, ref.size_bytes, chunks, ranges
    )


def _unpublished() -> Iterator[Buffer]:
    raise NotHere("it is not in the cache of this gateway and not yet in the grid")
