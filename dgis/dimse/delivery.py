"""One C-STORE sub-operation of a C-GET or C-MOVE (PS3.4 C.4.2.2, C.4.3.2)."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

import structlog

from dgis.dimse.association import Association
from dgis.dimse.commands import Command, Field
from dgis.dimse.fragments import Buffer
from dgis.dimse.outgoing import choose
from dgis.dimse.proposal import AgreedContext
from dgis.dimse.services import Outgoing, Transcoder
from dgis.dimse.status import Status, is_warning

_log = structlog.get_logger(__name__)
_MESSAGE_IDS = 0xFFFF
_MEDIUM = 0  # Priority (0000,0700)


class Outcome(Enum):
    """How a sub-operation ended."""

    COMPLETED = "completed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(slots=True)
class Tally:
    """The counts that every response carries (PS3.4 C.4.2.1.6 to C.4.2.1.9)."""

    remaining: int
    completed: int = 0
    warning: int = 0
    failed: int = 0
    failed_uids: list[str] = field(default_factory=list, repr=False)

    def count(self, outcome: Outcome, sop_instance_uid: str) -> None:
        """Book one sub-operation."""
        self.remaining -= 1
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)
        if outcome is Outcome.FAILED:
            self.failed_uids.append(sop_instance_uid)

    def status(self) -> Status:
        """Return the final status of an operation that was not cancelled (PS3.4 C.4.2.1.5)."""
        if not self.failed and not self.warning:
            return Status.SUCCESS
        if not self.completed and not self.warning:
            return Status.OUT_OF_RESOURCES_SUBOPERATIONS
        return Status.WARNING_SUBOPERATIONS


class CutShortError(Exception):
    """An instance broke off after some of it was sent: nothing but an abort keeps the receiver from it."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """An instance that can leave at once; without a context it cannot be sent at all."""

    instance: Outgoing
    context: AgreedContext | None
    pieces: Iterable[Buffer] = ()


class Delivery:
    """Sends instances over one association.

    Args:
        association: where we are SCU of storage.
        transcoder: for receivers that do not accept what is stored.
        originator: AE title and message ID of the C-MOVE behind it (PS3.7 9.1.1.1).
    """

    def __init__(
        self, association: Association, transcoder: Transcoder, originator: tuple[str, int] | None = None
    ) -> None:
        self.cancelled = False  # a C-CANCEL came while a response was awaited: only on a C-GET's association
        self._association = association
        self._transcoder = transcoder
        self._originator = originator
        self._message_ids = itertools.cycle(range(1, _MESSAGE_IDS + 1))
        self._chosen: dict[tuple[str, str], AgreedContext | None] = {}
        self._ready: _Ready | None = None

    def send(self, instance: Outgoing, following: Outgoing | None = None) -> Outcome:
        """Send one instance and wait for the receiver's word; meanwhile the `following` one is made ready.

        Raises:
            AssociationEndedError: the association is over.
        """
        ready, self._ready = self._ready, None
        if ready is None or ready.instance is not instance:
            ready = self._opened(instance)
        if ready.context is None:
            return Outcome.FAILED
        command = self._command(instance)
        as_stored = ready.context.transfer_syntax == instance.transfer_syntax
        data = _whole(ready.pieces, instance.length if as_stored else None)
        try:
            self._association.send(ready.context.context_id, command, data)
        except CutShortError as error:
            raise self._association.abort("an instance broke off") from error
        if following is not None:
            self._ready = self._opened(following)
        return self._outcome(command)

    def _opened(self, instance: Outgoing) -> "_Ready":
        """Have the first piece of an instance at hand: it comes when the whole was checked."""
        context = self._context(instance.sop_class_uid, instance.transfer_syntax)
        if context is None:
            return _Ready(instance, None)
        try:
            pieces = iter(
                instance.open()
                if context.transfer_syntax == instance.transfer_syntax
                else self._transcoder.convert(instance, context.transfer_syntax)
            )
            first = next(pieces, b"")
        except Exception as error:  # noqa: BLE001 - it cannot be had: this instance fails, the next may not
            _log.warning("suboperation_unavailable", error=type(error).__name__)
            return _Ready(instance, None)
        return _Ready(instance, context, itertools.chain((first,), pieces))

    def _context(self, sop_class_uid: str, stored: str) -> AgreedContext | None:
        """The context to send over: as it lies if that was accepted, else the best conversion."""
        pair = (sop_class_uid, stored)
        if pair not in self._chosen:
            contexts = self._association.contexts
            as_stored = choose(contexts, sop_class_uid, (stored,))
            self._chosen[pair] = as_stored or choose(
                contexts, sop_class_uid, self._transcoder.targets(sop_class_uid, stored)
            )
        return self._chosen[pair]

    def _command(self, instance: Outgoing) -> Command:
        ae_title, message_id = self._originator or (None, None)
        return Command(
            field=Field.C_STORE_RQ,
            sop_class=instance.sop_class_uid,
            message_id=next(self._message_ids),
            priority=_MEDIUM,
            has_data_set=True,
            sop_instance=instance.sop_instance_uid,
            originator_ae=ae_title,
            originator_message_id=message_id,
        )

    def _outcome(self, sent: Command) -> Outcome:
        while True:
            message = self._association.next_response()
            command = message.command
            if command.has_data_set:
                self._association.discard_data(message.context)
            if command.field == Field.C_CANCEL_RQ:
                self.cancelled = True
            elif command.field == Field.C_STORE_RSP and command.responded_to == sent.message_id:
                break
            else:
                raise self._association.abort("an unexpected message among sub-operations")
        status = command.status
        if status is not None and is_warning(status):
            return Outcome.WARNING
        return Outcome.COMPLETED if status == Status.SUCCESS else Outcome.FAILED


def _whole(pieces: Iterable[Buffer], length: int | None) -> Iterator[Buffer]:
    """Pass pieces on; raise where they break off or do not add up to the length that was announced."""
    sent = 0
    source = iter(pieces)
    while True:
        try:
            piece = next(source, None)
        except Exception as error:
            raise CutShortError from error
        if piece is None:
            break
        sent += len(piece)
        yield piece
    if length is not None and sent != length:
        raise CutShortError
