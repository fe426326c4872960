"""One request of a peer and all that is needed to answer it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dgis.dimse.association import Association, Message
from dgis.dimse.budget import Allowance
from dgis.dimse.commands import response_to
from dgis.dimse.fragments import Buffer
from dgis.dimse.limits import Limits
from dgis.dimse.services import Event, Note, Services, Session
from dgis.dimse.status import Refusal


class Turn(NamedTuple):
    """What a service gets: the request, whom it is from, and whom it may ask.

    A tuple, because one is made for every message.
    """

    association: Association
    message: Message
    session: Session
    services: Services
    limits: Limits
    allowance: Allowance  # for what has to be kept of the request in memory
    extended: Mapping[str, bytes]  # what extended negotiation agreed on, by SOP class

    def reply(self, status: int, data: Iterable[Buffer] | None = None, **values: Any) -> None:  # noqa: ANN401 (fields of Command)
        """Send a response to the request.

        Raises:
            AssociationEndedError: the association is over.
        """
        response = response_to(self.message.command, status, has_data_set=data is not None, **values)
        self.association.send(self.message.context.context_id, response, data)

    def refuse(self, refusal: Refusal, **values: Any) -> None:  # noqa: ANN401 (fields of Command)
        """Send a refusal as the final response.

        Raises:
            AssociationEndedError: the association is over.
        """
        self.reply(
            refusal.status, comment=refusal.comment or None, offending=refusal.offending or None, **values
        )

    def note(
        self, note: Note, status: int | None, words: str = "", counts: Mapping[str, int] | None = None
    ) -> None:
        """Report what became of the request; no status where the association ended before it did."""
        event = Event(note, self.session.address, self.session, status, words, counts or {})
        self.services.note(event)
