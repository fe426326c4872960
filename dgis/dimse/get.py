"""C-GET as provider (PS3.7 9.1.3, PS3.4 C.4.3): instances go back over the association that asked."""

from dgis.dimse.delivery import Delivery, Outcome, Tally
from dgis.dimse.find import cancelled
from dgis.dimse.retrieval import accounted, conclude, instances_for, pending, receive_query, refuse
from dgis.dimse.status import Refusal
from dgis.dimse.turn import Turn

_NO_ROLE = "no storage context with the SCP role was agreed on"


def serve_get(turn: Turn) -> None:
    """Send what is asked for to the one who asks.

    Raises:
        AssociationEndedError: the association is over.
    """
    query = receive_query(turn)
    instances = query if isinstance(query, Refusal) else instances_for(turn, query, None)
    if isinstance(instances, Refusal):
        refuse(turn, instances)
        return
    association = turn.association
    delivery = Delivery(association, turn.services.transcoder())
    tally = Tally(len(instances))
    with accounted(turn, tally):
        for place, instance in enumerate(instances):
            if delivery.cancelled or cancelled(turn):
                break
            following = instances[place + 1] if tally.remaining > 1 else None
            outcome = delivery.send(instance, following)
            tally.count(outcome, instance.sop_instance_uid)
            if tally.remaining:
                association.hold(pending(turn, tally))  # leaves together with the next instance
            if outcome is Outcome.FAILED:
                association.flush()
    roles = any(context.as_scu for context in association.contexts.values())
    conclude(turn, tally, cancelled=tally.remaining > 0, words="" if roles or not tally.failed else _NO_ROLE)
