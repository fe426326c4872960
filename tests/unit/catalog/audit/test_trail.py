import threading

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.chain import Fault, examine
from catalog.audit.values import Event, Happening
from catalog.tables import audit

WRITER = "gateway-1/dicom"


def query(number):
    return Happening(
        Event.QUERY, "WS_1 (dr-no@gateway-1)", address="127.0.0.1", patients=("p1",), count=number
    )


def faults(connection, writer=WRITER):
    return list(examine(writer, trail.entries(connection, writer), trail.heads(connection)))


def test_what_is_appended_is_read_back_in_order_and_holds(engine):
    for batch in ([query(1)], [query(2), query(3)], []):
        with engine.begin() as connection:
            trail.append(connection, WRITER, batch, 1000)
    with engine.connect() as connection:
        found = list(trail.entries(connection, WRITER))
        assert [one.happening for one in found] == [query(1), query(2), query(3)]
        assert [one.number for one in found] == [1, 2, 3]
        assert faults(connection) == []
        assert trail.writers(connection) == [WRITER]
        assert [one.number for one in trail.latest(connection, 2)] == [3, 2]
        assert trail.latest(connection, 2, event=Event.STORE) == []


def test_a_transaction_that_is_rolled_back_leaves_no_gap(engine):
    with engine.connect() as connection:
        trail.append(connection, WRITER, [query(1)], 1000)
        connection.rollback()
    with engine.begin() as connection:
        trail.append(connection, WRITER, [query(2)], 1001)
    with engine.connect() as connection:
        assert [one.number for one in trail.entries(connection, WRITER)] == [1]
        assert faults(connection) == []


def test_many_at_once_make_one_chain(engine):
    def write():
        for number in range(10):
            with engine.begin() as connection:
                trail.append(connection, WRITER, [query(number)], 1000)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with engine.connect() as connection:
        assert [one.number for one in trail.entries(connection, WRITER)] == list(range(1, 41))
        assert faults(connection) == []


def test_pages_join(engine, monkeypatch):
    monkeypatch.setattr(trail, "_AT_ONCE", 2)
    with engine.begin() as connection:
        trail.append(connection, WRITER, [query(number) for number in range(5)], 1000)
        assert [one.number for one in trail.entries(connection, WRITER)] == [1, 2, 3, 4, 5]
        assert [one.number for one in trail.entries(connection, WRITER, after=3)] == [4, 5]


@pytest.mark.parametrize("number", [1, 3])
def test_a_row_changed_or_deleted_in_the_database_shows(engine, number):
    with engine.begin() as connection:
        trail.append(connection, WRITER, [query(one) for one in range(5)], 1000)
    row = sa.and_(audit.c.writer == WRITER, audit.c.number == number)
    with engine.connect() as connection:
        connection.execute(sa.update(audit).where(row).values(caller="nobody"))
        assert [one.fault for one in faults(connection)] == [Fault.CHANGED]
        connection.rollback()
    with engine.connect() as connection:
        connection.execute(sa.delete(audit).where(row))
        assert faults(connection)[0].fault is Fault.MISSING
        connection.rollback()
