"""C-STORE as provider (PS3.7 9.1.1, PS3.4 annex B): bytes go from the socket into the sink as they come.

Success (0x0000) is sent after `Sink.commit` returned and at no other place.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import structlog

from deid.deflate import is_deflated
from dgis.dimse.budget import Allowance
from dgis.dimse.commands import Command
from dgis.dimse.fragments import Buffer
from dgis.dimse.identify import SOP_CLASS_UID, SOP_INSTANCE_UID, Identity, identify
from dgis.dimse.services import Incoming, Note, Sink, Stored
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn
from dgis.dimse.uids import is_uid

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

_COMMAND_SOP_CLASS, _COMMAND_SOP_INSTANCE = 0x00000002, 0x00001000
_NO_UID = Refusal(Status.INVALID_INSTANCE, "SOP Instance UID is not a valid UID", (_COMMAND_SOP_INSTANCE,))
_NO_DATA_SET = Refusal(Status.MISTYPED_ARGUMENT, "no data set")
_OTHER_CLASS = Refusal(
    Status.SOP_CLASS_NOT_SUPPORTED,
    "SOP class differs from that of the presentation context",
    (_COMMAND_SOP_CLASS,),
)
_OUT_OF_SPACE = Refusal(Status.OUT_OF_RESOURCES, "the gateway cannot keep it now; send it again later")
_FAILED = Refusal(Status.PROCESSING_FAILURE, "the gateway could not process it; send it again later")
_CLASS_MISMATCH = Refusal(
    Status.DATA_SET_MISMATCH, "SOP Class UID in data set and command differ", (SOP_CLASS_UID,)
)
_INSTANCE_MISMATCH = Refusal(
    Status.DATA_SET_MISMATCH, "SOP Instance UID in data set and command differ", (SOP_INSTANCE_UID,)
)
_TOO_MUCH_AT_ONCE = Refusal(Status.OUT_OF_RESOURCES, "too many long headers at once; send it again later")
_INFLATING = threading.Lock()  # megabytes, to see a header
_HEADER_TOO_LONG = Refusal(Status.CANNOT_UNDERSTAND, "Study and Series Instance UID not found in the header")


def serve_store(turn: Turn) -> None:
    """Receive one instance and answer with what became of it.

    Raises:
        AssociationEndedError: the association is over; what was received of the instance is abandoned.
    """
    instance = turn.message.command.sop_instance
    refusal = _receive(turn)
    if refusal is None:
        turn.reply(Status.SUCCESS, sop_instance=instance)
        return
    turn.note(Note.STORE_REFUSED, refusal.status, refusal.comment)
    turn.refuse(refusal, sop_instance=instance)


def _receive(turn: Turn) -> Refusal | None:
    message = turn.message
    if not message.command.has_data_set:
        return _NO_DATA_SET
    incoming = _incoming(message.command, message.context.transfer_syntax)
    sink = _judge(message.command, message.context.abstract_syntax) or _begin(turn, incoming)
    if isinstance(sink, Refusal):
        turn.association.discard_data(message.context)
        return sink
    header = Header(incoming.transfer_syntax, turn.limits.header_scan_bytes, turn.allowance)
    reception = Reception(sink, incoming, header)
    try:
        turn.association.receive_data(message.context, reception.take)
        return reception.finish()
    finally:
        reception.abandon_unless_committed()


def _begin(turn: Turn, incoming: Incoming) -> Sink | Refusal:
    sink: Sink | Refusal = guarded(lambda: turn.services.begin_store(turn.session, incoming))
    return sink


def _incoming(command: Command, transfer_syntax: str) -> Incoming:
    return Incoming(
        sop_class_uid=command.sop_class or "",
        sop_instance_uid=command.sop_instance or "",
        transfer_syntax=transfer_syntax,
        originator_ae=command.originator_ae,
        originator_message_id=command.originator_message_id,
    )


def _judge(command: Command, abstract_syntax: str) -> Refusal | None:
    """What can be refused before the data set is seen."""
    if command.sop_class != abstract_syntax:
        return _OTHER_CLASS
    return None if is_uid(command.sop_instance or "") else _NO_UID


def guarded(call: Callable[[], _T]) -> _T | Refusal:
    """A back end that fails refuses this image; it never ends the association or the door."""
    try:
        return call()
    except OSError as error:
        _log.warning("store_failed", errno=error.errno)
        return _OUT_OF_SPACE
    except Exception as error:  # noqa: BLE001 - whatever the back end raises, the sender gets a status
        _log.error("store_failed", error=type(error).__name__)
        return _FAILED


class Reception:
    """One data set on its way into its sink, whichever door it comes in by.

    `take` all of it, then `finish`; `abandon_unless_committed` whatever happened. `agreed` may refuse it for
    what it turns out to be.
    """

    def __init__(
        self,
        sink: Sink,
        incoming: Incoming,
        header: "Header",
        agreed: Callable[[Identity], Refusal | None] = lambda _found: None,
    ) -> None:
        self._sink = sink
        self._incoming = incoming
        self._header = header
        self._agreed = agreed
        self._failure: Refusal | None = None  # what comes after it is read and dropped
        self._committed = False

    def take(self, piece: memoryview) -> None:
        """Take the next bytes; after a failure they are passed over."""
        if self._failure is None:
            self._header.see(piece)
            self._failure = guarded(lambda: self._sink.write(piece))

    def finish(self) -> Refusal | None:
        """Keep the data set, or say why it is not kept; nothing may follow but `abandon_unless_committed`."""
        if self._failure is not None:
            return self._failure
        found = self._header.identity()
        if isinstance(found, Refusal):
            return found
        if found.sop_class_uid != self._incoming.sop_class_uid:
            return _CLASS_MISMATCH
        if found.sop_instance_uid != self._incoming.sop_instance_uid:
            return _INSTANCE_MISMATCH
        refused = self._agreed(found)
        if refused is not None:
            return refused
        self._committed = True  # whatever comes of it: the sink had its one last call
        stored: Stored | Refusal = guarded(lambda: self._sink.commit(found))
        return stored if isinstance(stored, Refusal) else None

    def abandon_unless_committed(self) -> None:
        """Forget what was not kept."""
        if not self._committed:
            guarded(self._sink.abandon)


class Header:
    """Looks for the identity in the first piece, and keeps pieces only while it is not found."""

    def __init__(self, transfer_syntax: str, most_bytes: int, allowance: Allowance) -> None:
        self._transfer_syntax = transfer_syntax
        self._most_bytes = most_bytes
        self._allowance = allowance
        self._kept = bytearray()
        self._next_look_bytes = 0
        self._found: Identity | Refusal | None = None

    def see(self, piece: memoryview) -> None:
        """Look at the next bytes."""
        if self._found is not None:
            return
        if not self._kept:  # nearly always found here, and nothing is copied
            self._found = self._identified(piece, whole=False)
            self._next_look_bytes = 2 * len(piece)
        if self._found is None and not self._allowance.take(len(piece)):
            self._found, self._kept = _TOO_MUCH_AT_ONCE, bytearray()
        if self._found is None:
            self._kept += piece
            self._look()

    def identity(self) -> Identity | Refusal:
        """Return who the data set is, as far as it was seen."""
        if self._found is None:
            self._found = self._identified(self._kept, whole=True)
        return self._found or _HEADER_TOO_LONG

    def _identified(self, head: Buffer, *, whole: bool) -> Identity | Refusal | None:
        inflating: AbstractContextManager[object] = nullcontext()
        if is_deflated(self._transfer_syntax):
            inflating = _INFLATING
        with inflating:
            return identify(head, self._transfer_syntax, whole=whole)

    def _look(self) -> None:
        if len(self._kept) >= self._next_look_bytes:  # each look waits for twice as much: linear in all
            self._next_look_bytes = 2 * len(self._kept)
            self._found = self._identified(self._kept, whole=False)
        if self._found is None and len(self._kept) > self._most_bytes:
            self._found = _HEADER_TOO_LONG
        if self._found is not None:
            self._kept = bytearray()
