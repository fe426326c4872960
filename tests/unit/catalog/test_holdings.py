"""What is remembered of grants is what they say now, whoever changes them, however."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select, update

from catalog import viewers
from catalog.callers import Right
from catalog.grants import Grant, What, Who, revoke, write
from catalog.tables import contributor, grant_epoch, grants
from tests.unit.catalog.world import FULL, NOW, STUDY, Image, alpha, researcher


@pytest.fixture
def looks(monkeypatch):
    """Counts how often grants were read."""
    seen = []
    look = viewers._look
    monkeypatch.setattr(viewers, "_look", lambda *said: seen.append(1) or look(*said))
    return seen


def finds(world, caller, at=NOW):
    return len([match for match in world.find(caller, STUDY, "StudyInstanceUID", at=at) if match.original])


def epoch(engine):
    with engine.connect() as connection:
        return connection.execute(select(grant_epoch.c.number)).scalar_one()


def opening(**times):
    return Grant(who=Who(user="r"), what=What(patient_key=Image("1.1").patient_key), may=FULL, **times)


def test_grants_are_read_once_and_anew_when_one_changes(world, engine, looks):
    world.store_and_publish(Image("1.1"))
    assert [finds(world, researcher) for _ in range(3)] == [0, 0, 0]
    assert len(looks) == 1
    with engine.begin() as connection:
        given = write(connection, opening())
    assert [finds(world, researcher) for _ in range(3)] == [1, 1, 1]
    assert len(looks) == 2
    with engine.begin() as connection:
        assert revoke(connection, given.id, NOW)
    assert finds(world, researcher) == 0
    assert finds(world, alpha) == 1


@pytest.mark.parametrize(
    "change",
    [
        update(grants).values(may_phi=False),
        delete(grants),
        insert(contributor).values(facility="F", digest="d", assertions="{}", first_ms=1),
        update(contributor).values(facility="Elsewhere"),
    ],
    ids=str,
)
def test_every_change_draws_a_new_number(world, engine, change):
    world.store(Image("1.1"))
    before = epoch(engine)
    with engine.begin() as connection:
        connection.execute(change)
    assert epoch(engine) != before


def test_what_was_seen_in_a_transaction_that_is_rolled_back_is_not_remembered(world, engine):
    world.store_and_publish(Image("1.1"))
    with engine.connect() as connection:
        change = connection.begin()
        write(connection, opening())
        seen = viewers.viewer(connection, Right.FIND, [researcher], NOW)
        assert seen.access.originals
        change.rollback()
    with engine.begin() as connection:
        write(connection, replace(opening(), allow=False))
    assert finds(world, researcher) == 0


def test_a_grant_begins_and_ends_by_the_clock_alone(world, engine, looks):
    world.store_and_publish(Image("1.1"))
    wide = Grant(
        who=Who(user="r"),
        what=What(facility="Alpha"),
        may=FULL,
        not_before_ms=NOW + 1000,
        not_after_ms=NOW + 2000,
    )
    with engine.begin() as connection:
        write(connection, wide)
    times = (NOW, NOW + 999, NOW + 1000, NOW + 1999, NOW + 2000, NOW + 9000, NOW + 1500)
    assert [finds(world, researcher, at) for at in times] == [0, 0, 1, 1, 0, 0, 1]
    assert len(looks) == 4  # before, within, after; and a clock that was set back


def test_without_a_number_nothing_is_remembered(world, engine, looks):
    world.store_and_publish(Image("1.1"))
    with engine.begin() as connection:
        connection.execute(delete(grant_epoch))
    assert [finds(world, researcher) for _ in range(3)] == [0, 0, 0]
    assert len(looks) == 3
