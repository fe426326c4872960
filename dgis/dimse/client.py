"""Asking others for DIMSE services: C-MOVE sends with it; demo, command line and tests push with it."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from dgis.dimse.association import Association, Message
from dgis.dimse.commands import Command, Field, response_to
from dgis.dimse.fragments import Buffer
from dgis.dimse.limits import Limits
from dgis.dimse.proposal import AgreedContext, AssociateAccept
from dgis.dimse.requestor import Party, Proposal, Terms, open_association
from dgis.dimse.status import Status, is_pending
from dgis.dimse.uids import VERIFICATION

Receive = Callable[[AgreedContext, Command, bytes], int]
"""Takes an instance that a C-GET sends; returns the status to answer."""

_MESSAGE_IDS = 0xFFFF
_MEDIUM = 0  # Priority (0000,0700)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: its command and, where it has one, its data set."""

    command: Command
    data: bytes | None = field(default=None, repr=False)

    @property
    def status(self) -> int:
        """Status (0000,0900); a response without one counts as failed."""
        return Status.CANNOT_UNDERSTAND if self.command.status is None else self.command.status


class NoContextError(LookupError):
    """The peer accepted no presentation context for what is asked."""


class Client:
    """The services of an association that we opened; one operation at a time."""

    def __init__(self, association: Association, accept: AssociateAccept) -> None:
        self.association = association
        self.accept = accept
        self._message_ids = itertools.cycle(range(1, _MESSAGE_IDS + 1))
        self._last_message_id = 0

    def context(self, abstract_syntax: str, transfer_syntax: str | None = None) -> AgreedContext:
        """Return the first accepted context of a class (and of a transfer syntax, if one is named).

        Raises:
            NoContextError: there is none.
        """
        for context in self.association.contexts.values():
            right_syntax = transfer_syntax in (None, context.transfer_syntax)
            if context.abstract_syntax == abstract_syntax and context.as_scu and right_syntax:
                return context
        raise NoContextError("no accepted presentation context")

    def echo(self) -> int:
        """Send a C-ECHO; return its status.

        Raises:
            AssociationEndedError, NoContextError: it could not be asked.
        """
        return self._ask(self.context(VERIFICATION), Command(field=Field.C_ECHO_RQ)).status

    def store(
        self,
        context: AgreedContext,
        sop_instance_uid: str,
        data: Iterable[Buffer],
        originator: tuple[str, int] | None = None,
    ) -> Answer:
        """Send one instance; `originator` is AE title and message ID of the C-MOVE that caused it.

        Raises:
            AssociationEndedError: the association is over.
        """
        ae_title, message_id = originator or (None, None)
        command = Command(
            field=Field.C_STORE_RQ,
            priority=_MEDIUM,
            has_data_set=True,
            sop_instance=sop_instance_uid,
            originator_ae=ae_title,
            originator_message_id=message_id,
        )
        return self._ask(context, command, data)

    def find(self, context: AgreedContext, identifier: bytes) -> Iterator[Answer]:
        """Send a C-FIND; yield every response, the final one last.

        Raises:
            AssociationEndedError: the association is over.
        """
        command = Command(field=Field.C_FIND_RQ, priority=_MEDIUM, has_data_set=True)
        return self._ask_many(context, command, identifier)

    def move(self, context: AgreedContext, identifier: bytes, destination: str) -> Iterator[Answer]:
        """Send a C-MOVE; yield every response, the final one last.

        Raises:
            AssociationEndedError: the association is over.
        """
        command = Command(
            field=Field.C_MOVE_RQ, priority=_MEDIUM, has_data_set=True, move_destination=destination
        )
        return self._ask_many(context, command, identifier)

    def get(self, context: AgreedContext, identifier: bytes, receive: Receive) -> Iterator[Answer]:
        """Send a C-GET; hand every instance to `receive`, yield every response, the final one last.

        Raises:
            AssociationEndedError: the association is over.
        """
        command = Command(field=Field.C_GET_RQ, priority=_MEDIUM, has_data_set=True)
        return self._ask_many(context, command, identifier, receive)

    def create(self, context: AgreedContext, sop_instance_uid: str, attributes: bytes) -> Answer:
        """Send an N-CREATE (PS3.7 10.1.5).

        Raises:
            AssociationEndedError: the association is over.
        """
        command = Command(field=Field.N_CREATE_RQ, has_data_set=True, sop_instance=sop_instance_uid)
        return self._ask(context, command, (attributes,))

    def cancel(self, context: AgreedContext) -> None:
        """Ask that the operation at hand end (PS3.7 9.3.2.3); its responses still come."""
        cancel = Command(field=Field.C_CANCEL_RQ, responded_to=self._last_message_id)
        self.association.send(context.context_id, cancel)

    def _ask(self, context: AgreedContext, command: Command, data: Iterable[Buffer] | None = None) -> Answer:
        self._send(context, command, data)
        message = self.association.next_response()
        return self._answer(message)

    def _ask_many(
        self, context: AgreedContext, command: Command, identifier: bytes, receive: Receive | None = None
    ) -> Iterator[Answer]:
        self._send(context, command, (identifier,))
        while True:
            message = self.association.next_response()
            if message.command.field == Field.C_STORE_RQ and receive is not None:
                self._received(message, receive)
                continue
            answer = self._answer(message)
            yield answer
            if not is_pending(answer.status):
                return

    def _send(self, context: AgreedContext, command: Command, data: Iterable[Buffer] | None) -> None:
        self._last_message_id = next(self._message_ids)
        sent = command._replace(sop_class=context.abstract_syntax, message_id=self._last_message_id)
        self.association.send(context.context_id, sent, data)

    def _answer(self, message: Message) -> Answer:
        command = message.command
        if command.responded_to != self._last_message_id:
            raise self.association.abort("a response to something else")
        data = self.association.receive_small_data(message.context) if command.has_data_set else None
        return Answer(command, data)

    def _received(self, message: Message, receive: Receive) -> None:
        pieces = bytearray()
        self.association.receive_data(message.context, pieces.extend)
        status = receive(message.context, message.command, bytes(pieces))
        response = response_to(message.command, status, sop_instance=message.command.sop_instance)
        self.association.send(message.context.context_id, response)


@contextmanager
def associate(
    party: Party, proposals: Sequence[Proposal], limits: Limits | None = None, terms: Terms | None = None
) -> Iterator[Client]:
    """Open an association for the length of a `with` block: released at its end, aborted by an exception.

    Raises:
        AssociationEndedError: not connected, rejected, or ended meanwhile.
    """
    association, accept = open_association(party, proposals, limits or Limits(), terms)
    try:
        yield Client(association, accept)
        association.release()
    finally:
        association.close()
