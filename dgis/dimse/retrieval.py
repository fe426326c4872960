"""What C-GET and C-MOVE have in common: from identifier to instances, pending and final responses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from catalog.query import InvalidQuery, Query
from dgis.dimse.answers import failed_list
from dgis.dimse.commands import response_to
from dgis.dimse.delivery import Tally
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.find import CUT_SHORT, receive_identifier, refusal_of
from dgis.dimse.fragments import Buffer
from dgis.dimse.identifier import to_retrieval
from dgis.dimse.services import Destination, Note, Outgoing
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn

_MOST_COUNTED = 0xFFFF  # the counts are US: a larger retrieval shows this until fewer are left


def receive_query(turn: Turn) -> Query | Refusal:
    """Read the identifier of a retrieve request.

    Raises:
        AssociationEndedError: the association is over.
    """
    received = receive_identifier(turn)
    return received if isinstance(received, Refusal) else to_retrieval(*received)


def instances_for(turn: Turn, query: Query, destination: Destination | None) -> Sequence[Outgoing] | Refusal:
    """Ask what is to be sent."""
    try:
        return turn.services.retrieve(turn.session, query, destination)
    except InvalidQuery as invalid:
        return refusal_of(invalid)


def pending(turn: Turn, tally: Tally) -> list[Buffer]:
    """Prepare a pending response with the counts so far."""
    response = response_to(
        turn.message.command, Status.PENDING, **_counts(tally), remaining=_us(tally.remaining)
    )
    return turn.association.prepare(turn.message.context.context_id, response)


def refuse(turn: Turn, refusal: Refusal) -> None:
    """End a retrieve that did not begin.

    Raises:
        AssociationEndedError: the association is over.
    """
    turn.note(Note.RETRIEVE_ENDED, refusal.status, refusal.comment)
    turn.refuse(refusal)


@contextmanager
def accounted(turn: Turn, tally: Tally) -> Iterator[None]:
    """Report how far a retrieve came whose association ends inside the block."""
    try:
        yield
    except AssociationEndedError:
        counts = {**_counts(tally), "remaining": tally.remaining}
        turn.note(Note.RETRIEVE_ENDED, None, CUT_SHORT, counts)
        raise


def conclude(turn: Turn, tally: Tally, *, cancelled: bool, words: str = "") -> None:
    """Send the final response: counts, and the instances that failed (PS3.4 C.4.2.1.4.2, C.4.3.1.3.2).

    Raises:
        AssociationEndedError: the association is over.
    """
    status = Status.CANCELLED if cancelled and tally.remaining else tally.status()
    counts = _counts(tally)
    turn.note(Note.RETRIEVE_ENDED, status, words, {**counts, "remaining": tally.remaining})
    failed = None
    if tally.failed_uids:
        failed = (failed_list(tally.failed_uids, turn.message.context.transfer_syntax),)
    remaining = _us(tally.remaining) if status is Status.CANCELLED else None
    turn.reply(status, failed, **counts, remaining=remaining, comment=words or None)


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "completed": _us(tally.completed),
        "failed": _us(tally.failed),
        "warning": _us(tally.warning),
    }


def _us(count: int) -> int:
    return min(count, _MOST_COUNTED)
