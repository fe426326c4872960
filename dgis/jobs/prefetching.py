"""Brings the records of a study near, so that who reads it later waits for no node.

    locate -> copy, read back against the index's digest -> its name   <- the commit point, object by object

A crash in between leaves what was brought; the job is begun anew and finds it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa

from catalog.retrieve import InstanceRef
from dgis.cache.index import CacheIndex
from dgis.dimse.delivery import Outcome, Tally
from dgis.retriever.records import NotHere, Shelf
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

GoesOn = Callable[[Tally], bool]
"""Told of the counts before each part; False: no more is to be brought."""

_NO_ROOM = "there is no room for all of it: cache.prefetch_bytes, or the disk"
_UNPUBLISHED = "some of it is in another gateway's cache and not yet in the grid"


@dataclass(frozen=True, slots=True)
class Bringing:
    """What prefetching works with."""

    shelf: Shelf
    index: CacheIndex


class Prefetching:
    """One run; `words` say what went wrong.

    Originals in the cache of received images are near as they are. Every other one is restored from its
    sealed companion and its record: both are brought, for a de-identified instance the record alone.
    """

    def __init__(self, bringing: Bringing, goes_on: GoesOn, since_ms: int) -> None:
        self.words = ""
        self.stopped = False
        self._shelf = bringing.shelf
        self._index = bringing.index
        self._goes_on = goes_on
        self._since_ms = since_ms

    def cached(self, connection: sa.Connection, refs: Sequence[InstanceRef]) -> Collection[int]:
        """Return which originals are in the cache of received images."""
        wanted = [ref.phi_instance_id for ref in refs if ref.phi_instance_id is not None]
        return self._index.locate(connection, wanted).keys()

    def run(self, refs: Sequence[InstanceRef], cached: Collection[int]) -> Tally:
        """Bring them part by part; a part that fails does not hinder the next."""
        tally = Tally(len(refs))
        for key, run in groupby(refs, key=lambda ref: ref.record_key):
            if not self._goes_on(tally):
                self.stopped = True
                break
            part = list(run)
            away = [ref for ref in part if ref.phi_instance_id not in cached]
            brought = not away or self._bring(key, original=any(ref.original for ref in away))
            for ref in part:
                here = brought or ref.phi_instance_id in cached
                tally.count(Outcome.COMPLETED if here else Outcome.FAILED, ref.sop_instance_uid)
        return tally

    def _bring(self, key: str | None, *, original: bool) -> bool:
        if key is None:
            self.words = _UNPUBLISHED
            return False
        record_key = RecordKey(key)
        kinds = [Kind.SEALED, Kind.RECORD] if original else [Kind.RECORD]
        try:
            # of a part whose instances are all sealed whole there is no record
            there = [kind for kind in kinds if kind is Kind.SEALED or self._shelf.knows(record_key, kind)]
            for kind in there or kinds:
                if not self._shelf.bring(record_key, kind, self._since_ms):
                    self.words = _NO_ROOM
                    return False
        except NotHere as error:
            self.words = str(error)
            return False
        return True
