"""The worker's chore: looks at what is asked to be committed until every instance of it is decided on.

    claim -> look under the requestor's decision -> prove record by record, each settled as it is proven
    -> all decided: JUDGED, from which commit on a report is owed; else the next look

A crash leaves what was settled settled, and the rest to whoever claims it when the lease has run out.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
import structlog

from dgis import failpoints
from dgis.cache.sql import reading
from dgis.commitment import rows
from dgis.commitment.judging import Patience, judge, next_look_ms
from dgis.commitment.leases import kept
from dgis.commitment.looking import look
from dgis.commitment.proof import Asked, Prover
from dgis.commitment.values import Finding, Known, Standing, Transaction, Waiting
from dgis.dimse.sop_classes import Operation, service_of
from storage_nodes.names import RecordKey

_log = structlog.get_logger(__name__)

_AT_ONCE = 64  # instances that are proven before what was found is written down


@dataclass(frozen=True, slots=True)
class Means:
    """What judging works with."""

    engine: sa.Engine
    prover: Prover
    patience: Patience
    clock_ms: Callable[[], int]
    lease_ms: int


class _LostError(Exception):
    """Another worker has taken the transaction over."""


class Judge:
    """Judges transactions; several may run at once, on several gateways."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._engine = means.engine

    def run_once(self) -> bool:
        """Look at one transaction; False where none is due."""
        claim, now_ms = uuid.uuid4().hex, self._means.clock_ms()
        with self._engine.begin() as connection:
            transaction = rows.claim_to_judge(connection, claim, now_ms, self._means.lease_ms)
        if transaction is None:
            return False
        failpoints.hit("commitment.claimed")
        try:
            with kept(
                self._engine, partial(rows.renew_for, transaction), self._means.lease_ms, self._means.clock_ms
            ):
                self._look_at(transaction)
        except _LostError:
            _log.warning("commitment_taken_over", transaction=transaction.id)
        return True

    def _look_at(self, transaction: Transaction) -> None:
        left = False
        for findings in self._findings(transaction):
            left |= self._settle(transaction, findings)
            failpoints.hit("commitment.settled")
        now_ms = self._means.clock_ms()
        with self._engine.begin() as connection:
            if left:
                rows.look_again(connection, transaction, next_look_ms(transaction.requested_ms, now_ms))
            else:
                rows.judged(connection, transaction, now_ms)
        failpoints.hit("commitment.judged")

    def _settle(self, transaction: Transaction, findings: Sequence[Finding]) -> bool:
        """Write down what was found; returns whether some of it is waited for."""
        now_ms = self._means.clock_ms()
        judged = judge(findings, transaction.requested_ms, now_ms, self._means.patience)
        with self._engine.begin() as connection:
            until_ms = now_ms + self._means.lease_ms
            if not rows.settle(connection, transaction, judged, now_ms, until_ms):
                raise _LostError
        return bool(judged.waiting)

    def _findings(self, transaction: Transaction) -> Iterator[list[Finding]]:
        with reading(self._engine) as connection:
            waiting = rows.waiting(connection, transaction)
            uids = [each.reference.sop_instance_uid for each in waiting]
            known = look(connection, uids, transaction.request.caller, self._means.clock_ms())
        at_once: list[Finding] = []
        records: dict[str, list[Asked]] = defaultdict(list)
        for each in waiting:
            found = known.get(each.reference.sop_instance_uid)
            standing = _standing(each, found)
            if standing is not None or found is None or found.record_key is None:
                at_once.append(Finding(each.place, standing or Standing.UNPUBLISHED, found))
            else:
                records[found.record_key].append((each.place, found))
        if at_once:
            yield at_once
        for key, asked in records.items():
            for start in range(0, len(asked), _AT_ONCE):
                yield self._means.prover.prove(RecordKey(key), asked[start : start + _AT_ONCE])


def _standing(waiting: Waiting, known: Known | None) -> Standing | None:
    """Tell how an instance stands where no copy has to be read for it."""
    service = service_of(waiting.reference.sop_class_uid)
    if service is None or service.operation is not Operation.STORE:
        return Standing.UNSUPPORTED_CLASS
    if known is None:
        return Standing.ABSENT
    if known.sop_class_uid != waiting.reference.sop_class_uid:
        return Standing.OTHER_CLASS
    if known.disputed:
        return Standing.DISPUTED
    return Standing.UNPUBLISHED if known.record_key is None else None
