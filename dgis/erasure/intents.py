"""The rows of erasures: asking for one, and noting how far each is."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from catalog.erase import latest_received_ms, withdraw_originals
from catalog.tables import PHI
from dgis.cache.sql import in_lists, upsert
from dgis.erasure import fence
from dgis.erasure.originals import Taken, take_away
from dgis.erasure.tables import erasure, erasure_gateway
from dgis.erasure.values import Erasure, Task

FOUND = "found in the key store"


def ask(connection: sa.Connection, patient_key: str, key_name: str, who: str, now_ms: int) -> Erasure:
    """Ask for the destruction of a key, and take the patient's originals away; again, it changes nothing.

    The commit of the caller's transaction is the commit point: with it the originals are found by nobody, and
    every gateway knows what it has to destroy. A crash before it leaves everything as it was.
    """
    fence.hold(connection, patient_key)
    known = of_key(connection, key_name)
    if known is not None:
        return known
    # Clocks differ: every original that has its rows by now is meant, whatever its gateway's clock said.
    taken = take_away(
        connection, patient_key, max(now_ms, latest_received_ms(connection, patient_key)), now_ms
    )
    values = {"patient_key": patient_key, "key_name": key_name, "requested_ms": now_ms, "requested_by": who}
    return _write(connection, values, taken)


def ask_again(connection: sa.Connection, of: Erasure, now_ms: int) -> None:
    """Mean what was received until now as well: nothing of it has its rows yet, it may wait in a log."""
    fence.hold(connection, of.patient_key)
    connection.execute(sa.update(erasure).where(erasure.c.id == of.id).values(requested_ms=now_ms))
    connection.execute(sa.delete(erasure_gateway).where(erasure_gateway.c.erasure_id == of.id))


def adopt(
    connection: sa.Connection, patient_key: str, key_name: str, shredded_ms: int, now_ms: int
) -> Erasure:
    """Take over a tombstone that this database does not know: it is older than the key store, say."""
    fence.hold(connection, patient_key)
    known = of_key(connection, key_name)
    if known is not None:
        return known
    taken = take_away(connection, patient_key, shredded_ms, now_ms)
    values = {
        "patient_key": patient_key,
        "key_name": key_name,
        "requested_ms": shredded_ms,
        "requested_by": FOUND,
    }
    return _write(connection, values, taken)


def of_key(connection: sa.Connection, key_name: str) -> Erasure | None:
    """Return the erasure of a key, if it was asked for."""
    row = connection.execute(sa.select(erasure).where(erasure.c.key_name == key_name)).one_or_none()
    return None if row is None else Erasure(**row._mapping)  # noqa: SLF001 (public, despite its name)


def of_patient(connection: sa.Connection, patient_key: str) -> list[Erasure]:
    """Return the erasures of a patient, the latest last."""
    query = sa.select(erasure).where(erasure.c.patient_key == patient_key).order_by(erasure.c.id)
    return [Erasure(**row) for row in connection.execute(query).mappings()]


def key_names(connection: sa.Connection) -> set[str]:
    """Return the name of every key that was asked for."""
    return set(connection.scalars(sa.select(erasure.c.key_name)))


def not_spread(connection: sa.Connection) -> list[Erasure]:
    """Return the erasures whose tombstone some key store has not got yet."""
    query = sa.select(erasure).where(erasure.c.spread_ms.is_(None)).order_by(erasure.c.id)
    return [Erasure(**row) for row in connection.execute(query).mappings()]


def spread(connection: sa.Connection, erasure_id: int, now_ms: int) -> None:
    """Note that every key store has the tombstone."""
    connection.execute(sa.update(erasure).where(erasure.c.id == erasure_id).values(spread_ms=now_ms))


def spread_again(connection: sa.Connection, names: Iterable[str]) -> None:
    """Note that keys which were destroyed are there again, or their tombstones are not."""
    for some in in_lists(sorted(names)):
        again = sa.update(erasure).where(erasure.c.key_name.in_(some))
        connection.execute(again.values(spread_ms=None))


def tasks(connection: sa.Connection, gateway_id: str) -> list[Task]:
    """Return what a gateway has yet to do."""
    mine = sa.and_(erasure_gateway.c.erasure_id == erasure.c.id, erasure_gateway.c.gateway_id == gateway_id)
    query = (
        sa.select(*erasure.c, erasure_gateway.c.swept_ms)
        .select_from(erasure.outerjoin(erasure_gateway, mine))
        .where(erasure_gateway.c.done_ms.is_(None))
        .order_by(erasure.c.id)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [Task(swept_ms=row.pop("swept_ms"), erasure=Erasure(**row)) for row in rows]


def note(connection: sa.Connection, gateway_id: str, which: Iterable[Task], **values: int) -> None:
    """Note how far a gateway is with some erasures (`swept_ms`, `done_ms`)."""
    rows = [{"erasure_id": task.erasure.id, "gateway_id": gateway_id, **values} for task in which]
    update: dict[str, Any] = dict(values)
    upsert(connection, erasure_gateway, rows, key=("erasure_id", "gateway_id"), update=update)


def retire_until_ms(connection: sa.Connection, gateway_id: str) -> int | None:
    """Return until when segments that are still written were made too early to be kept; None: never."""
    open_ones = sa.and_(erasure_gateway.c.gateway_id == gateway_id, erasure_gateway.c.done_ms.is_(None))
    latest = sa.select(sa.func.max(erasure_gateway.c.swept_ms)).where(open_ones)
    until_ms: int | None = connection.execute(latest).scalar_one()
    return until_ms


def reopen(connection: sa.Connection) -> int:
    """Begin anew where originals are there that an erasure means: a database from a backup, a late log."""
    series, instance = PHI.series.c, PHI.instance.c
    back = (
        sa.select(erasure.c.id)
        .distinct()
        .join(PHI.series, series.patient_key == erasure.c.patient_key)
        .join(PHI.instance, instance.series_row == series.id)
        .where(instance.received_ms <= erasure.c.requested_ms)
    )
    again = sa.delete(erasure_gateway).where(erasure_gateway.c.erasure_id.in_(back))
    return connection.execute(again).rowcount


def unfinished_gateways(connection: sa.Connection, of: Erasure, known: Iterable[str]) -> list[str]:
    """Return which of these gateways have not done their share."""
    done = sa.select(erasure_gateway.c.gateway_id).where(
        erasure_gateway.c.erasure_id == of.id, erasure_gateway.c.done_ms.is_not(None)
    )
    return sorted(set(known) - set(connection.scalars(done)))


def add_counts(connection: sa.Connection, erasure_id: int, **counts: int) -> None:
    """Add to what an erasure has taken away."""
    added = {name: erasure.c[name] + count for name, count in counts.items() if count}
    if added:
        connection.execute(sa.update(erasure).where(erasure.c.id == erasure_id).values(**added))


def _write(connection: sa.Connection, values: dict[str, Any], taken: Taken) -> Erasure:
    grants = withdraw_originals(connection, values["patient_key"])
    connection.execute(sa.insert(erasure).values(**values, **taken.counts(), grants=grants))
    written = of_key(connection, values["key_name"])
    assert written is not None, "it was inserted just now"
    return written
