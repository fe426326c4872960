"""C-MOVE as provider (PS3.7 9.1.4, PS3.4 C.4.2): instances go to another over associations of our own."""

from collections.abc import Sequence

from dgis.dimse.association import Association
from dgis.dimse.delivery import Delivery, Outcome, Tally
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.find import cancelled
from dgis.dimse.outgoing import batches
from dgis.dimse.requestor import Proposal, open_association
from dgis.dimse.retrieval import accounted, conclude, instances_for, pending, receive_query, refuse
from dgis.dimse.services import Destination, Outgoing
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn

_MOVE_DESTINATION = 0x00000600
_NO_DESTINATION = Refusal(Status.DESTINATION_UNKNOWN, "no move destination", (_MOVE_DESTINATION,))
_MOST_BREAKS = 3  # of associations in a row that end before one instance went through


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
    _Move(turn, destination, len(instances)).run(instances)


class _Move:
    """The sub-operations of one C-MOVE."""

    def __init__(self, turn: Turn, destination: Destination, total: int) -> None:
        self._turn = turn
        self._destination = destination
        self._transcoder = turn.services.transcoder()
        self._tally = Tally(total)
        self._cancelled = False
        self._words = ""

    def run(self, instances: Sequence[Outgoing]) -> None:
        with accounted(self._turn, self._tally):
            for proposals, batch in batches(instances, self._transcoder):
                if not self._cancelled:
                    self._send_batch(proposals, batch)
        conclude(self._turn, self._tally, cancelled=self._cancelled, words=self._words)

    def _send_batch(self, proposals: Sequence[Proposal], batch: Sequence[Outgoing]) -> None:
        """Send a run of instances; an association that breaks costs one of them and is opened again."""
        done = breaks = 0
        while done < len(batch) and not self._cancelled:
            association = self._open(proposals) if breaks < _MOST_BREAKS else None
            if association is None:
                for instance in batch[done:]:
                    self._tally.count(Outcome.FAILED, instance.sop_instance_uid)
                return
            try:
                sent = self._send_over(association, batch[done:])
            finally:
                association.close()
            done += sent
            breaks = breaks + 1 if sent <= 1 else 0

    def _open(self, proposals: Sequence[Proposal]) -> Association | None:
        session, destination = self._turn.session, self._destination
        party = destination.party(session.called_ae)
        try:
            return open_association(party, proposals, self._turn.limits)[0]
        except AssociationEndedError as error:
            self._words = f"destination {error}"
            return None

    def _send_over(self, association: Association, instances: Sequence[Outgoing]) -> int:
        """Send until the end, a cancel or a break; return how many sub-operations were accounted for."""
        message_id = self._turn.message.command.message_id or 0
        delivery = Delivery(association, self._transcoder, (self._turn.session.calling_ae, message_id))
        for number, instance in enumerate(instances):
            self._cancelled = cancelled(self._turn)
            if self._cancelled:
                _release(association)
                return number
            following = instances[number + 1] if number + 1 < len(instances) else None
            broken = not self._send_one(delivery, instance, following)
            if self._tally.remaining:
                self._turn.association.hold(pending(self._turn, self._tally))
                self._turn.association.flush()
            if broken:
                return number + 1
        _release(association)
        return len(instances)

    def _send_one(self, delivery: Delivery, instance: Outgoing, following: Outgoing | None) -> bool:
        """Send one instance; False where the association to the destination ended."""
        ended = False
        try:
            outcome = delivery.send(instance, following)
        except AssociationEndedError as error:
            outcome, ended = Outcome.FAILED, True
            self._words = f"destination {error}"
        self._tally.count(outcome, instance.sop_instance_uid)
        return not ended


def _release(association: Association) -> None:
    try:
        association.release()
    except AssociationEndedError:
        return  # everything was sent and answered; how the peer says goodbye changes nothing
