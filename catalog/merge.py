"""Instances of several records into one that takes their place: where they lie changes, in both families.

Run inside the transaction that also writes the replica rows: its commit is the commit point. What a caller
finds is the same before it and after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, update

from catalog.expire import used_records
from catalog.sql import OneOf, json_list
from catalog.tables import DEID, PHI


@dataclass(frozen=True, slots=True)
class Place:
    """Where an original lies, and what its row says of it; without a reason its form is published."""

    phi_instance_id: int
    instance_key: str
    record_key: str
    position: int
    withheld_reason: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """One original, from where it lay when the new record was made to its position in that record."""

    place: Place
    position: int


def places_in(connection: Connection, record_keys: Iterable[str]) -> list[Place] | None:
    """Return what lies in some records, published ones first; None where a form is left without its original.

    That is so where the patient was erased: such a record stays as it is.
    """
    columns = PHI.instance.c
    keys = {"keys": json_list(record_keys)}
    rows = connection.execute(
        select(
            columns.id, columns.instance_key, columns.record_key, columns.position, columns.withheld_reason
        )
        .where(OneOf(columns.record_key, bindparam("keys")))
        .order_by(
            columns.withheld_reason.is_not(None),
            func.coalesce(columns.instance_number, 1 << 40),
            columns.sop_instance_uid,
        ),
        keys,
    ).all()
    found = [Place(*row) for row in rows]
    form = DEID.instance.c
    shown = connection.execute(
        select(form.sop_instance_uid, form.record_key, form.position).where(
            OneOf(form.record_key, bindparam("keys"))
        ),
        keys,
    ).all()
    published = {
        (each.instance_key, each.record_key, each.position) for each in found if each.withheld_reason is None
    }
    return found if {tuple(row) for row in shown} == published else None


def move(connection: Connection, record_key: str, moves: Sequence[Move]) -> bool:
    """Point the rows of all instances of some records into another; False where they changed meanwhile.

    After False nothing may be committed.
    """
    columns = PHI.instance.c
    old = sorted({each.place.record_key for each in moves})
    rows = sorted(each.place.phi_instance_id for each in moves)
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = columns.id.in_(rows[start : start + _ROWS_A_STATEMENT])
        connection.execute(
            select(columns.id).where(some).order_by(columns.id).with_for_update(key_share=True)
        ).all()
    found = places_in(connection, old)
    if found is None or set(found) != {each.place for each in moves}:
        return False
    originals = (
        update(PHI.instance)
        .where(columns.id == bindparam("row"))
        .values(record_key=record_key, position=bindparam("at"))
    )
    connection.execute(
        originals, [{"row": each.place.phi_instance_id, "at": each.position} for each in moves]
    )
    form = DEID.instance.c
    forms = (
        update(DEID.instance)
        .where(form.sop_instance_uid == bindparam("uid"), form.record_key == bindparam("old"))
        .values(record_key=record_key, position=bindparam("at"))
    )
    shown = [
        {"uid": each.place.instance_key, "old": each.place.record_key, "at": each.position}
        for each in moves
        if each.place.withheld_reason is None
    ]
    if shown:
        connection.execute(forms, shown)
    return not used_records(connection, old)


_ROWS_A_STATEMENT = 500
