"""Sends instances to a destination over associations of our own: for a C-MOVE, and for a job."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dgis.dimse.association import Association
from dgis.dimse.delivery import Delivery, Outcome, Tally
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.limits import Limits
from dgis.dimse.outgoing import batches
from dgis.dimse.requestor import Party, Proposal, open_association
from dgis.dimse.services import Outgoing, Transcoder

_MOST_BREAKS = 3  # of associations in a row that end before one instance went through


@dataclass(frozen=True, slots=True)
class Route:
    """To whom, and how; `originator` is AE title and message ID of a C-MOVE behind it (PS3.7 9.1.1.1)."""

    party: Party
    transcoder: Transcoder
    limits: Limits
    originator: tuple[str, int] | None = None


def _nothing(_tally: Tally) -> None:
    pass


class Sending:
    """One run of sub-operations; `words` say what went wrong with the destination.

    Args:
        route: to whom.
        goes_on: told of the counts before each instance; False: no more is to be sent, and `stopped` says so.
        sent: told of the counts after each.
    """

    def __init__(
        self, route: Route, goes_on: Callable[[Tally], bool], sent: Callable[[Tally], None] = _nothing
    ) -> None:
        self.words = ""
        self.stopped = False
        self._route = route
        self._goes_on = goes_on
        self._sent = sent

    def run(self, instances: Sequence[Outgoing], tally: Tally) -> None:
        """Send them, and count; an association that breaks costs one of them and is opened again."""
        for proposals, batch in batches(instances, self._route.transcoder):
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

    def _open(self, proposals: Sequence[Proposal]) -> Association | None:
        try:
            return open_association(self._route.party, proposals, self._route.limits)[0]
        except AssociationEndedError as error:
            self.words = f"destination {error}"
            return None

    def _send_over(self, association: Association, instances: Sequence[Outgoing], tally: Tally) -> int:
        """Send until the end, a stop or a break; return how many were accounted for."""
        delivery = Delivery(association, self._route.transcoder, self._route.originator)
        done = 0
        for instance, following in zip(instances, [*instances[1:], None], strict=True):
            if not self._goes_on(tally):
                self.stopped = True
                break
            broken = not self._send_one(delivery, instance, following, tally)
            done += 1
            self._sent(tally)
            if broken:
                return done
        with suppress(AssociationEndedError):  # all was answered; how the peer says goodbye changes nothing
            association.release()
        return done

    def _send_one(
        self, delivery: Delivery, instance: Outgoing, following: Outgoing | None, tally: Tally
    ) -> bool:
        """Send one instance; False where the association to the destination ended."""
        ended = False
        try:
            outcome = delivery.send(instance, following)
        except AssociationEndedError as error:
            outcome, ended = Outcome.FAILED, True
            self.words = f"destination {error}"
        tally.count(outcome, instance.sop_instance_uid)
        return not ended
