"""Received instances on their way into the receive log, whichever door they come in by."""

from collections.abc import Callable
from functools import lru_cache

from dgis.cache import values as cache
from dgis.cache.entry import Entry
from dgis.cache.log import AssociationWriter
from dgis.dimse.identify import Identity
from dgis.dimse.services import Incoming, Session, Sink, Stored
from dgis.dimse.status import Refusal, Status
from dgis.identity.wire import to_json
from dgis.retention.allowance import Allowance
from dgis.watch import door as figures
from dgis.watch.steps import Step, timed

Took = Callable[[Session, Identity], None]

_facts = lru_cache(maxsize=256)(to_json)  # asked for with each image


class Keeper:
    """Begins entries of the log for callers who may store, as far as quota and disk allow."""

    def __init__(self, clock_ms: Callable[[], int], allowance: Allowance | None = None) -> None:
        self._clock_ms = clock_ms
        self._allowance = allowance

    def begin(
        self, session: Session, incoming: Incoming, writer: Callable[[], AssociationWriter], took: Took
    ) -> Sink | Refusal:
        """Begin an entry; `took` is called once it is durable, before success is answered.

        Raises:
            OSError: the log cannot be written.
        """
        if self._allowance is not None and (over := self._allowance.exceeded()):
            return Refusal(Status.OUT_OF_RESOURCES, over)
        meta = cache.StoreMeta(
            sop_class_uid=incoming.sop_class_uid,
            sop_instance_uid=incoming.sop_instance_uid,
            transfer_syntax=incoming.transfer_syntax,
            calling_ae=session.calling_ae,
            called_ae=session.called_ae,
            peer_address=session.address,
            received_ms=self._clock_ms(),
            assertions=_facts(session.caller.assertions),
        )
        entry = writer().begin(meta)
        if isinstance(entry, cache.Refused):
            return _out_of_resources(entry)
        return _LogSink(entry, lambda identity, length: self._took(session, identity, length, took))

    def _took(self, session: Session, identity: Identity, length: int, took: Took) -> None:
        if self._allowance is not None:
            self._allowance.took(length)
        took(session, identity)


class _LogSink:
    """One data set on its way into the receive log."""

    def __init__(self, entry: Entry, took: Callable[[Identity, int], None]) -> None:
        self._entry = entry
        self._took = took
        self._size_bytes = 0

    def write(self, piece: memoryview) -> None:
        self._entry.write(piece)
        self._size_bytes += len(piece)

    def commit(self, identity: Identity) -> Stored | Refusal:
        # The UIDs of the data set are those it was announced with: they were compared before this call.
        with timed(Step.KEEP):
            kept = self._entry.commit()
        if isinstance(kept, cache.Refused):
            return _out_of_resources(kept)
        figures.kept(self._size_bytes)
        self._took(identity, self._size_bytes)
        return Stored.NEW

    def abandon(self) -> None:
        self._entry.abandon()


def _out_of_resources(refused: cache.Refused) -> Refusal:
    return Refusal(Status(refused.status), refused.reason.value[:64])
