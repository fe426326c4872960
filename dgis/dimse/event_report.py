"""N-EVENT-REPORT of storage commitment as its provider (PS3.7 10.1.1, PS3.4 J.3.3)."""

import itertools
from collections.abc import Callable

from dgis.dimse.association import Association, Message
from dgis.dimse.commands import Command, Field
from dgis.dimse.proposal import AgreedContext
from dgis.dimse.references import Outcome, write_outcome
from dgis.dimse.status import Status
from dgis.dimse.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

_MESSAGE_IDS = itertools.cycle(range(1, 0x10000))


def commitment_context(association: Association) -> AgreedContext | None:
    """Return the context on which we may act as provider of storage commitment, if one was agreed on."""
    return next(
        (
            context
            for context in association.contexts.values()
            if context.abstract_syntax == STORAGE_COMMITMENT and context.as_scp
        ),
        None,
    )


def report(
    association: Association, context: AgreedContext, outcome: Outcome, serve: Callable[[Message], None]
) -> int:
    """Send one report and return the status of its response; one without a status is a failure.

    What the peer asks for itself meanwhile is handed to `serve`.

    Raises:
        AssociationEndedError: the association is over; whether the report was taken is not known.
    """
    sent = Command(
        field=Field.N_EVENT_REPORT_RQ,
        sop_class=STORAGE_COMMITMENT,
        message_id=next(_MESSAGE_IDS),
        has_data_set=True,
        sop_instance=STORAGE_COMMITMENT_INSTANCE,
        event_type=outcome.event_type,
    )
    association.send(context.context_id, sent, (write_outcome(outcome, context.transfer_syntax),))
    while True:
        message = association.next_response()
        command = message.command
        if command.field != Field.N_EVENT_REPORT_RSP or command.responded_to != sent.message_id:
            serve(message)
            continue
        if command.has_data_set:
            association.discard_data(message.context)
        return Status.PROCESSING_FAILURE if command.status is None else command.status
