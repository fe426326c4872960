"""C-MOVE as provider (PS3.7 9.1.4, PS3.4 C.4.2): instances go to another over associations of our own."""

from collections.abc import Sequence

from dgis.dimse.delivery import Tally
from dgis.dimse.find import cancelled
from dgis.dimse.retrieval import accounted, conclude, instances_for, pending, receive_query, refuse
from dgis.dimse.sending import Route, Sending
from dgis.dimse.services import Destination, Outgoing
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn

_MOVE_DESTINATION = 0x00000600
_NO_DESTINATION = Refusal(Status.DESTINATION_UNKNOWN, "no move destination", (_MOVE_DESTINATION,))


def serve_move(turn: Turn) -> None:
    """Send what is asked for to the destination that is named.

    Raises:
        AssociationEndedError: the association with the one who asks is over.
    """
    query = receive_query(turn)
    title = turn.message.command.move_destination
    destination = turn.services.destination(turn.session, title) if title else _NO_DESTINATION
    refusal = next((each for each in (query, destination) if isinstance(each, Refusal)), None)
    if refusal is not None:
        refuse(turn, refusal)
        return
    assert not isinstance(query, Refusal)  # one of the two was found above
    assert not isinstance(destination, Refusal)
    instances = instances_for(turn, query, destination)
    if isinstance(instances, Refusal):
        refuse(turn, instances)
        return
    _send(turn, destination, instances)


def _send(turn: Turn, destination: Destination, instances: Sequence[Outgoing]) -> None:
    session = turn.session
    originator = session.calling_ae, turn.message.command.message_id or 0
    route = Route(destination.party(session.called_ae), turn.services.transcoder(), turn.limits, originator)

    def sent(tally: Tally) -> None:
        if tally.remaining:
            turn.association.hold(pending(turn, tally))
            turn.association.flush()

    sending = Sending(route, lambda _tally: not cancelled(turn), sent)
    tally = Tally(len(instances))
    with accounted(turn, tally):
        sending.run(instances, tally)
    conclude(turn, tally, cancelled=sending.stopped, words=sending.words)
