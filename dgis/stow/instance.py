"""One file of a request on its way into the receive log: its head is read, its data set goes on as it is."""

from collections.abc import Callable
from dataclasses import dataclass

from dgis.dimse.budget import Budget
from dgis.dimse.identify import Identity
from dgis.dimse.limits import Limits
from dgis.dimse.services import Incoming, Sink
from dgis.dimse.status import Refusal, Status
from dgis.dimse.store import Header, Reception, guarded
from dgis.stow.filehead import FileHead, Refused, read_head
from dgis.stow.outcomes import Failed, Kept, Outcome

_TOO_LONG = Refusal(Status.RESOURCE_LIMITATION, "longer than the gateway takes (web.store_instance_bytes)")
_OTHER_STUDY = Refusal(Status.DATA_SET_MISMATCH, "its study is not the one in the path of the request")
_HEADER_SCAN_BYTES = Limits().header_scan_bytes

Begin = Callable[[Incoming], Sink | Refusal]


@dataclass(frozen=True, slots=True)
class Terms:
    """What every file of a request is held to; `study_uid` is empty where the path names no study."""

    begin: Begin
    budget: Budget
    most_bytes: int
    study_uid: str = ""


class InstanceReader:
    """Takes one file in pieces; `end` keeps it, `abandon` does not. For one thread at a time."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._allowance = terms.budget.allowance()
        self._size_bytes = 0
        self._head: bytearray | None = bytearray()  # until the data set begins
        self._incoming: Incoming | None = None
        self._header: Header | None = None
        self._reception: Reception | None = None
        self._failed: Failed | None = None

    def take(self, piece: memoryview) -> None:
        """Take the next bytes; after a failure they are passed over."""
        if self._failed is not None:
            return
        self._size_bytes += len(piece)
        if self._reception is None:
            self._take_head(piece, whole=False)
        elif self._size_bytes <= self._terms.most_bytes:
            self._reception.take(piece)
        if self._size_bytes > self._terms.most_bytes:
            self._fail(_TOO_LONG)

    def end(self) -> Outcome:
        """Keep what was taken, if it is a file that may be kept; the commit point is that of its sink."""
        try:
            if self._failed is None and self._reception is None:
                self._take_head(memoryview(b""), whole=True)
            if self._failed is None:
                assert self._reception is not None, "a file that did not fail was begun"
                refusal = self._reception.finish()
                if refusal is not None:
                    self._fail(refusal)
            return self._failed or self._kept()
        finally:
            self._release()

    def abandon(self, why: Refusal) -> Failed:
        """Forget what was taken; return what is to be said of it."""
        self._fail(why)
        self._release()
        assert self._failed is not None, "it was made to fail"
        return self._failed

    def _take_head(self, piece: memoryview, *, whole: bool) -> None:
        assert self._head is not None, "the data set has not begun"
        known: memoryview = piece
        if self._head or whole:  # nearly always the first piece has all of it, and nothing is copied
            self._head += piece
            known = memoryview(bytes(self._head))
        found = read_head(known, whole=whole)
        if found is None:
            if not self._head:
                self._head += piece
            return
        self._head = None
        if isinstance(found, Refused):
            self._failed = Failed(found.refusal, found.sop_class_uid, found.sop_instance_uid)
        else:
            self._begin(found, known)

    def _begin(self, found: FileHead, known: memoryview) -> None:
        incoming = self._incoming = found.incoming
        sink: Sink | Refusal = guarded(lambda: self._terms.begin(incoming))
        if isinstance(sink, Refusal):
            self._fail(sink)
            return
        self._header = Header(incoming.transfer_syntax, _HEADER_SCAN_BYTES, self._allowance)
        self._reception = Reception(sink, incoming, self._header, self._agreed)
        if len(known) > found.start:
            self._reception.take(known[found.start :])

    def _agreed(self, found: Identity) -> Refusal | None:
        wanted = self._terms.study_uid
        return _OTHER_STUDY if wanted and found.study_uid != wanted else None

    def _kept(self) -> Outcome:
        assert self._header is not None, "what was kept was begun"
        found = self._header.identity()
        assert isinstance(found, Identity), "it was identified before it was kept"
        return Kept(found.sop_class_uid, found.sop_instance_uid, found.study_uid, found.series_uid)

    def _fail(self, refusal: Refusal) -> None:
        if self._failed is None:
            said = self._incoming
            self._failed = Failed(refusal, *((said.sop_class_uid, said.sop_instance_uid) if said else ()))

    def _release(self) -> None:
        if self._reception is not None:
            self._reception.abandon_unless_committed()
        self._allowance.give_back()
