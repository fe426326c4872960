"""Sends instances to a destination over associations of our own, as C-MOVE does, for nobody who waits."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from dgis.dimse.association import Association
from dgis.dimse.delivery import Delivery, Outcome, Tally
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.limits import Limits
from dgis.dimse.outgoing import batches
from dgis.dimse.requestor import Party, Proposal, open_association
from dgis.dimse.services import Outgoing, Transcoder

_MOST_BREAKS = 3  # of associations in a row that end before one instance went through

GoesOn = Callable[[Tally], bool]
"""Told of the counts before each instance; False: no more is to be sent."""


class Sending:
    """One run of sub-operations; `words` say what went wrong with the destination."""

    def __init__(self, party: Party, transcoder: Transcoder, limits: Limits, goes_on: GoesOn) -> None:
        self.words = ""
        self.stopped = False
        self._party = party
        self._transcoder = transcoder
        self._limits = limits
        self._goes_on = goes_on

    def run(self, instances: Sequence[Outgoing]) -> Tally:
        """Send them; an association that breaks costs one of them and is opened again."""
        tally = Tally(len(instances))
        for proposals, batch in batches(instances, self._transcoder):
            done = breaks = 0
            while done < len(batch) and not self.stopped:
                association = self._open(proposals) if breaks < _MOST_BREAKS else None
                if association is None:
                    for instance in batch[done:]:
                        tally.count(Outcome.FAILED, instance.sop_instance_uid)
                    break
                try:
                    sent = self._send_over(association, batch[done:], tally)
                finally:
                    association.close()
                done += sent
                breaks = breaks + 1 if sent <= 1 else 0
        return tally

    def _open(self, proposals: Sequence[Proposal]) -> Association | None:
        try:
            return open_association(self._party, proposals, self._limits)[0]
        except AssociationEndedError as error:
            self.words = f"destination {error}"
            return None

    def _send_over(self, association: Association, instances: Sequence[Outgoing], tally: Tally) -> int:
        """Send until the end, a stop or a break; return how many were accounted for."""
        delivery = Delivery(association, self._transcoder)
        for number, instance in enumerate(instances):
            if not self._goes_on(tally):
                self.stopped = True
                break
            try:
                outcome = delivery.send(instance)
            except AssociationEndedError as error:
                self.words = f"destination {error}"
                tally.count(Outcome.FAILED, instance.sop_instance_uid)
                return number + 1
            tally.count(outcome, instance.sop_instance_uid)
        else:
            number = len(instances)
        with suppress(AssociationEndedError):  # everything was answered; how the peer says goodbye is its own
            association.release()
        return number
