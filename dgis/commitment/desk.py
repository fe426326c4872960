"""The door's side of storage commitment: takes transactions, reports them where their association stands."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.callers import Right
from catalog.release import named
from dgis import failpoints
from dgis.commitment import rows
from dgis.commitment.judging import next_report_ms
from dgis.commitment.reporting import HeldBack, prepare
from dgis.commitment.values import Request, State, Transaction
from dgis.dimse.references import Commitment
from dgis.dimse.services import DueReport, Session
from dgis.dimse.status import Refusal, Status

_log = structlog.get_logger(__name__)

_MAY_NOT = Refusal(Status.NOT_AUTHORIZED, "this peer may not retrieve (dicom.peers, may)")
_TOO_MANY = Refusal(Status.RESOURCE_LIMITATION, "too many transactions of this requestor are open")
_USED = Refusal(Status.DUPLICATE_TRANSACTION, "this Transaction UID was used before; the first one stands")


@dataclass(slots=True)
class _Held:
    """What one association waits for."""

    holder: str
    claimed: dict[int, Transaction]


class Desk:
    """Takes and reports; used by many associations at once.

    Args:
        engine: of the database.
        gateway_id: this gateway.
        writer: of the trail, for this door.
        clock_ms: the time, epoch milliseconds.
        lease_ms: how long a door that died keeps its reports from others.
    """

    def __init__(
        self, engine: sa.Engine, gateway_id: str, writer: str, clock_ms: Callable[[], int], lease_ms: int
    ) -> None:
        self._lease_ms = lease_ms
        self._engine = engine
        self._gateway_id = gateway_id
        self._writer = writer
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}  # by association

    def commit(self, session: Session, asked: Commitment) -> Refusal | None:
        """Take a transaction, with the trail's entry, in one commit: only after it success is answered.

        Raises:
            SQLAlchemyError: the database does not take it; nothing was taken.
        """
        if Right.RETRIEVE not in session.caller.may:
            return _MAY_NOT
        request = Request(session.calling_ae, session.called_ae, session.address, session.caller)
        holder = self._holder(session)
        now_ms = self._clock_ms()
        with self._engine.begin() as connection:
            if not rows.has_room(connection, request, len(asked.references)):
                return _TOO_MANY
            number = rows.take(connection, self._gateway_id, request, asked, now_ms)
            if number is None:
                return _USED
            rows.hold(connection, number, holder, now_ms + self._lease_ms)
            trail.append(connection, self._writer, [_asked(request, asked, number)], now_ms)
            failpoints.hit("commitment.before_taken")
        failpoints.hit("commitment.taken")
        with self._lock:
            self._held.setdefault(session.number, _Held(holder, {}))
        return None

    def awaits_report(self, session: Session) -> bool:
        """Whether transactions of this association are not reported yet."""
        return session.number in self._held

    def next_report(self, session: Session) -> DueReport | None:
        """Claim the report of this association that has been due longest; None where none is."""
        held = self._held.get(session.number)
        if held is None:
            return None
        try:
            return self._claimed(held)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("commitment_waits", error=type(error).__name__)
            return None

    def _claimed(self, held: _Held) -> DueReport | None:
        now_ms, claim = self._clock_ms(), uuid.uuid4().hex
        which = rows.on_its_own_association(held.holder)
        with self._engine.begin() as connection:
            transaction = rows.claim_to_report(connection, claim, now_ms, self._lease_ms, which)
            if transaction is None:
                return None
            outcome = prepare(connection, transaction, None, self._writer, now_ms)
            assert not isinstance(outcome, HeldBack), "there is no destination beside the requestor"
        failpoints.hit("commitment.report_claimed")
        held.claimed[transaction.id] = transaction
        return DueReport(transaction.id, claim, outcome)

    def keep(self) -> None:
        """Keep for longer what associations that stand hold; called now and then, well within the lease."""
        with self._lock:
            standing = list(self._held.items())
        for number, held in standing:
            claims = [each.claim for each in list(held.claimed.values())]
            until_ms = self._clock_ms() + self._lease_ms
            with self._engine.begin() as connection:
                left = rows.keep_holding(connection, held.holder, claims, until_ms)
            if not left:  # all is reported: nothing is looked for on it any more
                with self._lock:
                    self._held.pop(number, None)

    def reported(self, session: Session, report: DueReport, status: int | None) -> None:
        """Write down how a report was answered; what was not taken goes over another association."""
        failpoints.hit("commitment.report_sent")
        held = self._held.get(session.number)
        transaction = held.claimed.pop(report.transaction, None) if held else None
        if transaction is None:
            return
        now_ms = self._clock_ms()
        try:
            with self._engine.begin() as connection:
                if status == Status.SUCCESS:
                    rows.over(connection, transaction, State.REPORTED, now_ms)
                else:
                    due_ms = next_report_ms(transaction.attempts + 1, now_ms)
                    rows.report_failed(connection, transaction, due_ms, answered(status))
        except sa.exc.SQLAlchemyError as error:  # it is sent once more when the lease has run out
            _log.warning("report_not_noted", transaction=report.transaction, error=type(error).__name__)
        failpoints.hit("commitment.reported")

    def ended(self, session: Session) -> None:
        """An association is over: what it waits for is reported over others."""
        with self._lock:
            held = self._held.pop(session.number, None)
        if held is None:
            return
        now_ms = self._clock_ms()
        words = "the association ended before the report was answered"
        try:
            with self._engine.begin() as connection:
                for transaction in held.claimed.values():
                    due_ms = next_report_ms(transaction.attempts + 1, now_ms)
                    rows.report_failed(connection, transaction, due_ms, words)
                rows.let_go(connection, held.holder)
        except sa.exc.SQLAlchemyError as error:  # what was held is free when its time has run out
            _log.warning("commitments_not_let_go", error=type(error).__name__)

    def _holder(self, session: Session) -> str:
        with self._lock:
            held = self._held.get(session.number)
        return held.holder if held else f"{self._writer}/{uuid.uuid4().hex}"


def answered(status: int | None) -> str:
    """Return how a report was answered, in words."""
    if status is None:
        return "the association has no context on which a provider may report"
    return f"the report was answered with status 0x{status:04X}"


def _asked(request: Request, asked: Commitment, number: int) -> Happening:
    return Happening(
        Event.COMMITMENT,
        named(request.caller),
        address=request.address,
        count=len(asked.references),
        detail={"what": "request", "transaction": number, "calling_ae": request.calling_ae},
    )
