import json
from dataclasses import replace

import pytest

from catalog.callers import Right
from catalog.grants import ANYONE, Grant, What, Who, write
from catalog.links import Link, link
from dgis.explain import Operation, explain
from tests.unit.catalog.world import (
    BETA,
    FULL,
    NOW,
    STUDY,
    Image,
    World,
    alpha,
    beta,
    ceiled,
    open_engine,
    pseudonym,
    researcher,
)

MINE = Image("1.1")
THEIRS = Image("1.2", contributor=BETA, patient="P2", study="2.2", series="3.2")
FIND = Operation(Right.FIND)


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    world = World(engine)
    world.store_and_publish(MINE, THEIRS)
    yield world
    engine.dispose()


def told(world, caller, uid, operation=FIND, at=NOW):
    with world.engine.connect() as connection:
        return explain(connection, caller, operation, uid, at)


def give(world, **grant):
    with world.engine.begin() as connection:
        return write(connection, Grant(**grant))


def words(explanation):
    return "\n".join(line.words for line in explanation.steps)


@pytest.mark.parametrize(
    ("caller", "uid", "granted"),
    [
        (alpha, MINE.study, True),
        (alpha, THEIRS.study, False),
        (alpha, pseudonym(THEIRS.study), True),
        (researcher, MINE.study, False),
        (researcher, pseudonym(MINE.study), True),
        (ceiled, MINE.study, False),
    ],
)
def test_it_says_what_the_query_does(world, caller, uid, granted):
    assert told(world, caller, uid).granted is granted
    assert (uid in world.values(caller, STUDY, "StudyInstanceUID")) is granted


def test_the_rule_that_decided_is_named_with_its_terms(world):
    rule = give(
        world,
        who=Who(user="dr.no"),
        what=What(patient_key=THEIRS.patient_key),
        may=FULL,
        not_after_ms=NOW + 1000,
        granted_by="beta",
        reason="a second opinion",
    )
    explanation = told(world, alpha, THEIRS.study)
    assert explanation.granted
    assert [line.grant for line in explanation.steps if line.right == "phi"] == [rule.id]
    assert "a second opinion" in words(explanation)
    assert "until 2023-11-14T22:13:21Z, by beta" in words(explanation)
    later = told(world, alpha, THEIRS.study, at=NOW + 1000)
    assert not later.granted
    assert f"grant {rule.id} for user=dr.no holds until 2023-11-14T22:13:21Z" in words(later)


def test_whom_a_rule_asks_for_is_said_to_who_is_not(world):
    assert "asks for department=Radiology, institution=Beta Clinic" in words(told(world, alpha, THEIRS.study))


def test_a_ceiling_is_named_and_nothing_beyond_it(world):
    explanation = told(world, ceiled, MINE.study)
    assert "phi is above the ceiling of this caller" in words(explanation)
    assert "its ceiling is find, retrieve" in words(explanation)


def test_a_denial_through_a_link_closes_and_is_named(world):
    refusal = give(
        world,
        who=ANYONE,
        what=What(patient_key=THEIRS.patient_key, linked=True),
        may=frozenset({Right.PHI}),
        allow=False,
        reason="consent refused",
    )
    assert told(world, alpha, MINE.study).granted
    with world.engine.begin() as connection:
        assert link(connection, Link(MINE.patient_key, THEIRS.patient_key, NOW, "o", "same person"))
    closed = told(world, alpha, MINE.study)
    assert not closed.granted
    assert f"phi is denied by grant {refusal.id}: consent refused" in words(closed)
    assert "and the patients linked with it" in words(closed)
    assert told(world, alpha, pseudonym(MINE.study)).granted


def test_a_receiver_needs_what_the_caller_needs(world):
    move = Operation(Right.RETRIEVE, receiver=replace(researcher, name="there"))
    explanation = told(world, alpha, MINE.study, move)
    assert not explanation.granted
    assert "there: no grant in force gives phi here" in words(explanation)
    assert told(world, alpha, MINE.study, replace(move, receiver=alpha)).granted


def test_the_form_can_be_asked_for_against_the_uid(world):
    assert not told(world, researcher, pseudonym(MINE.study), Operation(Right.FIND, original=True)).granted
    assert told(world, researcher, MINE.study, Operation(Right.RETRIEVE, original=False)).granted


def test_what_is_found_as_an_original_is_said_to_be(world):
    assert "left out then" in words(told(world, alpha, pseudonym(MINE.study)))
    assert "left out then" not in words(told(world, researcher, pseudonym(MINE.study)))


def test_what_is_not_there_is_granted_to_nobody(world):
    world.store(Image("1.9", study="2.9", series="3.9"))
    unpublished = told(world, beta, pseudonym("2.9"))
    assert not unpublished.granted
    assert "nothing is published" in words(unpublished)
    assert "no study is known" in words(told(world, alpha, "9.9.9"))
    assert not told(world, alpha, "9.9.9").granted


def test_series_that_fare_alike_are_told_of_once(world):
    world.store_and_publish(
        Image("1.3", series="3.3"), Image("1.4", series="3.4"), Image("1.5", series="3.5"), record="r2"
    )
    give(
        world,
        who=ANYONE,
        what=What(patient_key=MINE.patient_key, study_key=pseudonym(MINE.study), series_key=pseudonym("3.3")),
        may=frozenset({Right.PHI}),
        allow=False,
    )
    explanation = told(world, alpha, MINE.study)
    assert explanation.granted
    counts = [line.about.split(" ")[0] for line in explanation.steps if "series of patient" in line.about]
    assert sorted(set(counts)) == ["1", "3"]


def test_no_identity_is_in_what_is_told(world):
    for caller in (alpha, researcher):
        printed = json.dumps(told(world, caller, pseudonym(MINE.study)).json()) + repr(
            told(world, caller, MINE.study)
        )
        for private in ("Smith", '"P1"', "19700101", f"ACC{MINE.study}", MINE.uid + '"', MINE.study + '"'):
            assert private not in printed
