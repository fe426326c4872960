"""The report of a transaction that is judged: decided anew for those who receive it, and in the trail first.

What was found stays in the rows; what is told is what the requestor, and the destination where there is one,
may retrieve at the moment it leaves. An instance that they may not is told as one that is not here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.audit.values import Outcome as Ended
from catalog.callers import Caller
from catalog.release import named
from catalog.retrieve import InstanceRef
from dgis.commitment import rows
from dgis.commitment.looking import visible
from dgis.commitment.values import InstanceState, Reason, Transaction
from dgis.dimse.references import Failed, Outcome, Reference

_MOST_NAMED = 200  # studies of one entry of the trail


_NOT_CLEARED = (
    "the destination is not cleared for what it would be told: a [[dicom.peers]] entry with retrieve and phi "
    "must match its AE title and its address in [dicom.destinations]"
)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The report does not leave: its destination is not cleared for what it would be told."""

    words: str


def prepare(
    connection: sa.Connection,
    transaction: Transaction,
    destination: Caller | None,
    writer: str,
    now_ms: int,
) -> Outcome | HeldBack:
    """Return what is to be told, and write into the trail that it is, inside the caller's transaction.

    Args:
        connection: in a transaction whose commit comes before the report leaves.
        transaction: judged, and claimed.
        destination: who receives, over an association of ours; None on that of the requestor.
        writer: of the trail.
        now_ms: the moment of the decision.
    """
    decided = rows.decided(connection, transaction)
    request = transaction.request
    uids = [row.sop_instance_uid for row in decided if row.instance_key is not None]
    seen = visible(connection, uids, [request.caller], now_ms)
    if destination is not None:
        both = visible(connection, uids, [request.caller, destination], now_ms)
        if both.keys() != seen.keys():
            words = "its destination is not cleared for what it would be told"
            trail.append(connection, writer, [_not_told(transaction, words, named(destination))], now_ms)
            return HeldBack(_NOT_CLEARED)
    outcome = _outcome(transaction, decided, seen)
    trail.append(connection, writer, [_told(transaction, outcome, seen, destination)], now_ms)
    return outcome


def _outcome(
    transaction: Transaction, decided: Sequence[sa.Row[Any]], seen: dict[str, InstanceRef]
) -> Outcome:
    committed: list[Reference] = []
    failed: list[Failed] = []
    for row in decided:
        reference = Reference(row.sop_class_uid, row.sop_instance_uid)
        if row.instance_key is not None and row.sop_instance_uid not in seen:
            failed.append(Failed(reference, Reason.NO_SUCH_INSTANCE))
        elif row.state == InstanceState.COMMITTED.value:
            committed.append(reference)
        else:
            failed.append(Failed(reference, row.reason))
    return Outcome(transaction.transaction_uid, transaction.request.called_ae, committed, failed)


def _told(
    transaction: Transaction, outcome: Outcome, seen: dict[str, InstanceRef], destination: Caller | None
) -> Happening:
    request = transaction.request
    told = [seen[uid] for each in outcome.committed if (uid := each.sop_instance_uid) in seen]
    classes: dict[tuple[str, str], Counter[str]] = {}
    for ref in told:
        classes.setdefault((ref.patient_key, ref.study_key), Counter())[ref.sop_class_uid] += 1
    studies: list[Json] = [
        {"patient": patient, "study": study, "classes": {**counts}}
        for (patient, study), counts in list(classes.items())[:_MOST_NAMED]
    ]
    detail: dict[str, Json] = {
        "what": "report",
        "transaction": transaction.id,
        "committed": len(outcome.committed),
        "failed": len(outcome.failed),
        "studies": studies,
        "receiver": request.calling_ae if destination is None else named(destination),
    }
    return Happening(
        Event.COMMITMENT,
        named(request.caller),
        address=request.address,
        patients=tuple(dict.fromkeys(patient for patient, _study in classes))[:_MOST_NAMED],
        count=max(1, len(outcome.committed)),
        detail=detail,
    )


def given_up(connection: sa.Connection, transaction: Transaction, writer: str, now_ms: int) -> None:
    """Write into the trail that nobody took a report, in the transaction that gives it up."""
    words = "nobody took the report"
    trail.append(connection, writer, [_not_told(transaction, words, transaction.request.calling_ae)], now_ms)


def _not_told(transaction: Transaction, words: str, receiver: str) -> Happening:
    detail: dict[str, Json] = {
        "what": "report",
        "transaction": transaction.id,
        "words": words,
        "receiver": receiver,
    }
    caller = named(transaction.request.caller)
    return Happening(Event.REFUSAL, caller, Ended.MINOR_FAILURE, transaction.request.address, detail=detail)
