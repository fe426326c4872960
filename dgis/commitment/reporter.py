"""The worker's chore: sends reports over associations of its own (PS3.4 J.3.3), for days if need be.

    claim, decide and write into the trail, in one commit -> associate as provider -> N-EVENT-REPORT -> over

A crash in between sends the report again: at least once, and the transaction UID says which it is.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
import structlog

from catalog.callers import Caller
from dgis import failpoints
from dgis.commitment import rows
from dgis.commitment.desk import answered
from dgis.commitment.judging import Patience, next_report_ms
from dgis.commitment.leases import kept
from dgis.commitment.reporting import HeldBack, given_up, prepare
from dgis.commitment.resting import Resting
from dgis.commitment.values import State, Transaction
from dgis.dimse.association import Association, Message
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.event_report import commitment_context, report
from dgis.dimse.limits import Limits
from dgis.dimse.proposal import Roles
from dgis.dimse.references import Outcome
from dgis.dimse.requestor import Party, Proposal, Terms, open_association
from dgis.dimse.services import Destination
from dgis.dimse.status import Status
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE, STORAGE_COMMITMENT

_log = structlog.get_logger(__name__)

_PROPOSALS = (Proposal(STORAGE_COMMITMENT, (EXPLICIT_LE, IMPLICIT_LE)),)
_AS_PROVIDER = Terms(roles={STORAGE_COMMITMENT: Roles(scu=False, scp=True)})
_NO_ROLE = "the destination accepts no storage commitment from a provider (SCP role)"


@dataclass(frozen=True, slots=True)
class Means:
    """What reporting works with; `destinations` are those of the configuration, by AE title."""

    engine: sa.Engine
    gateway_id: str
    writer: str
    destinations: Mapping[str, Destination]
    patience: Patience
    clock_ms: Callable[[], int]
    lease_ms: int
    limits: Limits


class Reporter:
    """Sends what nobody holds; several may run at once, on several gateways."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._engine = means.engine
        self._resting = Resting(means.clock_ms)

    def run_once(self) -> bool:
        """Send one report; False where none is due."""
        means, claim = self._means, uuid.uuid4().hex
        now_ms = means.clock_ms()
        which = rows.by_another_association(
            means.gateway_id, means.destinations, self._resting.titles(), now_ms
        )
        with self._engine.begin() as connection:
            transaction = rows.claim_to_report(connection, claim, now_ms, means.lease_ms, which)
        if transaction is None:
            return False
        failpoints.hit("commitment.report_claimed")
        with kept(self._engine, partial(rows.renew_for, transaction), means.lease_ms, means.clock_ms):
            words = self._send(transaction)
            failpoints.hit("commitment.report_sent")
            self._note(transaction, words)
        failpoints.hit("commitment.reported")
        return True

    def _send(self, transaction: Transaction) -> str | None:
        """Send one report; returns what was wrong in words, or None."""
        request, means = transaction.request, self._means
        destination = means.destinations.get(request.calling_ae)
        if destination is None:
            return f"{request.calling_ae} is not in [dicom.destinations]: add it there and restart"
        outcome = self._prepared(transaction, destination.caller)
        if isinstance(outcome, HeldBack):
            return outcome.words
        party = destination.party(request.called_ae)
        try:
            words = tell(party, outcome, means.limits)
        except AssociationEndedError as error:
            self._resting.failed(destination.ae_title)
            return f"destination {error}"
        self._resting.answered(destination.ae_title)
        return words

    def _prepared(self, transaction: Transaction, destination: Caller) -> Outcome | HeldBack:
        means = self._means
        with self._engine.begin() as connection:
            return prepare(connection, transaction, destination, means.writer, means.clock_ms())

    def _note(self, transaction: Transaction, words: str | None) -> None:
        now_ms, patience = self._means.clock_ms(), self._means.patience
        with self._engine.begin() as connection:
            if words is None:
                rows.over(connection, transaction, State.REPORTED, now_ms)
            elif now_ms >= (transaction.judged_ms or 0) + patience.report_ms:
                rows.over(connection, transaction, State.GIVEN_UP, now_ms, words)
                given_up(connection, transaction, self._means.writer, now_ms)
            else:
                due_ms = next_report_ms(transaction.attempts + 1, now_ms)
                rows.report_failed(connection, transaction, due_ms, words)
        if words is not None:
            _log.warning("report_waits", transaction=transaction.id, attempts=transaction.attempts + 1)


def tell(party: Party, outcome: Outcome, limits: Limits) -> str | None:
    """Send a report over an association of its own; returns what was wrong in words, or None.

    Raises:
        AssociationEndedError: not connected, rejected, or ended meanwhile.
    """
    association, _accept = open_association(party, _PROPOSALS, limits, _AS_PROVIDER)
    try:
        context = commitment_context(association)
        if context is None:
            association.release()
            return _NO_ROLE
        status = report(association, context, outcome, _refusing(association))
        _release(association)
        return None if status == Status.SUCCESS else answered(status)
    finally:
        association.close()


def _refusing(association: Association) -> Callable[[Message], None]:
    def refuse(_message: Message) -> None:
        raise association.abort("a request of the one who was called")

    return refuse


def _release(association: Association) -> None:
    try:
        association.release()
    except AssociationEndedError:
        return  # the report was answered; how the peer says goodbye changes nothing
