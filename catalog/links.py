"""Which patients are one person: said by an operator, never guessed, and opening nothing by itself.

A link joins two patient keys; patients joined over several links are one person. What follows from the links
(`linked_patient`) is written anew for those concerned in the transaction that changes them, so that a
decision needs one look-up a row. Allowances never follow links, denials may (`catalog.grants.What.linked`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, text

from catalog.sql import insert_ignoring
from catalog.tables import linked_patient, patient_link


@dataclass(frozen=True, slots=True)
class Link:
    """Two patients that somebody said are one person."""

    first_key: str
    second_key: str
    linked_ms: int
    linked_by: str
    reason: str


def link(connection: Connection, made: Link) -> bool:
    """Link two patients; False where they were linked with each other already.

    Raises:
        ValueError: both are the same patient.
    """
    first, second = sorted((made.first_key, made.second_key))
    if first == second:
        raise ValueError("a patient is linked with another one")
    _alone(connection)
    row = {
        "first_key": first,
        "second_key": second,
        "linked_ms": made.linked_ms,
        "linked_by": made.linked_by,
        "reason": made.reason,
    }
    adding = insert_ignoring(connection, patient_link).returning(patient_link.c.id)
    if connection.execute(adding, row).first() is None:
        return False
    _follow(connection, first)
    return True


def unlink(connection: Connection, one: str, other: str) -> bool:
    """End the link between two patients; False where there is none between these two."""
    first, second = sorted((one, other))
    _alone(connection)
    these = (patient_link.c.first_key == first, patient_link.c.second_key == second)
    if not connection.execute(delete(patient_link).where(*these)).rowcount:
        return False
    _follow(connection, first)
    _follow(connection, second)
    return True


def linked_with(connection: Connection, patient_key: str) -> frozenset[str]:
    """Return the keys of the other patients who are the same person."""
    own = select(linked_patient.c.person).where(linked_patient.c.patient_key == patient_key)
    others = select(linked_patient.c.patient_key).where(linked_patient.c.person.in_(own))
    return frozenset(connection.scalars(others)) - {patient_key}


def every(connection: Connection) -> Iterator[Link]:
    """Yield the links in force, oldest first."""
    columns = (patient_link.c[name] for name in Link.__slots__)
    for row in connection.execute(select(*columns).order_by(patient_link.c.id)):
        yield Link(**row._asdict())


def forget_reasons(connection: Connection, patient_key: str) -> None:
    """Blank the free text of a patient's links: it may name somebody."""
    blank = patient_link.update().where(_of(patient_key)).values(reason="")
    connection.execute(blank)


def _alone(connection: Connection) -> None:
    """Let no other transaction change links until this one ends: each reads what the others wrote."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE patient_link IN SHARE ROW EXCLUSIVE MODE"))


def _follow(connection: Connection, patient_key: str) -> None:
    """Write down anew who is one person with a patient."""
    person = _reached(connection, patient_key)
    connection.execute(delete(linked_patient).where(linked_patient.c.patient_key.in_(person)))
    if len(person) > 1:
        least = min(person)
        rows = [{"patient_key": each, "person": least} for each in sorted(person)]
        connection.execute(insert(linked_patient), rows)


def _reached(connection: Connection, patient_key: str) -> set[str]:
    reached, looked_at = {patient_key}, set[str]()
    while new := reached - looked_at:
        looked_at |= new
        joined = select(patient_link.c.first_key, patient_link.c.second_key).where(_of(*new))
        for row in connection.execute(joined):
            reached.update(row)
    return reached


def _of(*patient_keys: str) -> ColumnElement[bool]:
    return or_(patient_link.c.first_key.in_(patient_keys), patient_link.c.second_key.in_(patient_keys))
