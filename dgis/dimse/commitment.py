"""Storage Commitment Push Model as provider (PS3.4 annex J): the request, and reports on its association."""

from collections.abc import Callable

from dgis.dimse.association import Association, Message
from dgis.dimse.commands import Command
from dgis.dimse.event_report import commitment_context, report
from dgis.dimse.references import Commitment, read_commitment
from dgis.dimse.services import Note, Services, Session
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn
from dgis.dimse.uids import STORAGE_COMMITMENT_INSTANCE

_REQUEST = 1  # Action Type ID, PS3.4 table J.3-1
_LOOK_SECONDS = 1.0  # between looks for a report, while the peer says nothing
_COPIES = 4  # of the action information while it is read: bytes, and texts in lists
_NO_DATA = Refusal(Status.INVALID_ARGUMENT, "no action information")
_TOO_LARGE = Refusal(
    Status.RESOURCE_LIMITATION, "the action information is too large, or too many are at once"
)
_NO_SUCH_ACTION = Refusal(Status.NO_SUCH_ACTION, "the action type of storage commitment is 1")
_OTHER_INSTANCE = Refusal(
    Status.NO_SUCH_INSTANCE, "storage commitment has one instance, 1.2.840.10008.1.20.1.1"
)


def serve_action(turn: Turn) -> None:
    """Take a transaction; success is answered once it is durable.

    Raises:
        AssociationEndedError: the association is over.
    """
    asked = _asked(turn)
    refusal = asked if isinstance(asked, Refusal) else turn.services.commit(turn.session, asked)
    if refusal is None:
        turn.reply(Status.SUCCESS, sop_instance=STORAGE_COMMITMENT_INSTANCE, action_type=_REQUEST)
        return
    turn.note(Note.REQUEST_REFUSED, refusal.status, refusal.comment)
    turn.refuse(refusal, sop_instance=STORAGE_COMMITMENT_INSTANCE, action_type=_REQUEST)


def _asked(turn: Turn) -> Commitment | Refusal:
    context, command = turn.message.context, turn.message.command
    data = None
    if command.has_data_set:
        data = turn.association.receive_small_data(context, lambda size: turn.allowance.take(size * _COPIES))
    wrong = _wrong(command)
    if wrong is not None:
        return wrong
    if data is None:
        return _TOO_LARGE if command.has_data_set else _NO_DATA
    return read_commitment(
        data, context.transfer_syntax, turn.limits.identifier_bytes, turn.limits.most_references
    )


def _wrong(command: Command) -> Refusal | None:
    if command.action_type != _REQUEST:
        return _NO_SUCH_ACTION
    return None if command.requested_sop_instance == STORAGE_COMMITMENT_INSTANCE else _OTHER_INSTANCE


def report_in_silence(
    association: Association, session: Session, services: Services, serve: Callable[[Message], None]
) -> None:
    """Send the reports that become due on this association, until its peer says something.

    Args:
        association: whose peer asked for commitments.
        session: the same.
        services: knows what is due.
        serve: answers what the peer asks while its response to a report is awaited.

    Raises:
        AssociationEndedError: the association is over.
    """
    while services.awaits_report(session) and not association.spoken_within(_LOOK_SECONDS):
        due = services.next_report(session)
        if due is None:
            continue
        context = commitment_context(association)
        status = None if context is None else report(association, context, due.outcome, serve)
        services.reported(session, due, status)
