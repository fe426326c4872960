import pytest
from sqlalchemy import select

from catalog.callers import Right
from catalog.erase import withdraw_originals
from catalog.grants import ANYONE, Grant, What, write
from catalog.links import Link, every, link, linked_with, unlink
from catalog.tables import linked_patient
from tests.unit.catalog.test_plans import statements
from tests.unit.catalog.world import BETA, FULL, NOW, STUDY, Image, alpha, beta, pseudonym, researcher

MINE = Image("1.1")
THEIRS = Image("1.2", contributor=BETA, patient="P2", study="2.2", series="3.2")


def join(world, one, other):
    with world.engine.begin() as connection:
        return link(connection, Link(one, other, NOW, "operator", "same person"))


def part(world, one, other):
    with world.engine.begin() as connection:
        return unlink(connection, one, other)


def person(world, key):
    with world.engine.connect() as connection:
        return linked_with(connection, key)


def persons(world):
    with world.engine.connect() as connection:
        found = {}
        for row in connection.execute(select(linked_patient)):
            found.setdefault(row.person, set()).add(row.patient_key)
        return sorted(map(sorted, found.values()))


def refuse(world, key, *rights):
    refusal = Grant(who=ANYONE, what=What(patient_key=key, linked=True), may=frozenset(rights), allow=False)
    with world.engine.begin() as connection:
        return write(connection, refusal)


def test_patients_joined_over_several_links_are_one_person(world):
    assert join(world, "c", "b")
    assert join(world, "a", "b")
    assert not join(world, "b", "a")
    assert person(world, "a") == {"b", "c"}
    assert person(world, "z") == frozenset()
    assert persons(world) == [["a", "b", "c"]]
    with world.engine.connect() as connection:
        assert [(one.first_key, one.second_key) for one in every(connection)] == [("b", "c"), ("a", "b")]


def test_taking_a_link_back_parts_what_it_alone_joined(world):
    for one, other in (("a", "b"), ("b", "c"), ("c", "d"), ("a", "c")):
        join(world, one, other)
    assert part(world, "c", "a")
    assert persons(world) == [["a", "b", "c", "d"]]
    assert part(world, "b", "c")
    assert not part(world, "b", "c")
    assert persons(world) == [["a", "b"], ["c", "d"]]
    assert part(world, "a", "b")
    assert part(world, "c", "d")
    assert persons(world) == []


def test_a_patient_is_not_linked_with_itself(world):
    with pytest.raises(ValueError, match="another"):
        join(world, "a", "a")


def test_a_link_opens_nothing(world):
    world.store_and_publish(MINE, THEIRS)
    before = [world.values(caller, STUDY, "StudyInstanceUID") for caller in (alpha, beta)]
    join(world, MINE.patient_key, THEIRS.patient_key)
    assert [world.values(caller, STUDY, "StudyInstanceUID") for caller in (alpha, beta)] == before
    assert before[0] == sorted([MINE.study, pseudonym(THEIRS.study)])


def test_what_is_allowed_cannot_follow_links():
    with pytest.raises(ValueError, match="a link opens nothing"):
        Grant(who=ANYONE, what=What(patient_key="p", linked=True), may=FULL)


@pytest.mark.parametrize(
    "what", [{}, {"patient_key": "p", "study_key": "s"}, {"patient_key": "p", "contributor_id": 1}]
)
def test_only_a_whole_patient_is_named_with_its_links(what):
    with pytest.raises(ValueError, match="whole patient"):
        What(**what, linked=True)


def test_a_refusal_covers_who_is_linked_as_long_as_the_link_lasts(world):
    world.store_and_publish(MINE, THEIRS)
    refuse(world, THEIRS.patient_key, Right.PHI)
    assert MINE.study in world.values(alpha, STUDY, "StudyInstanceUID")
    join(world, MINE.patient_key, THEIRS.patient_key)
    closed = sorted([pseudonym(MINE.study), pseudonym(THEIRS.study)])
    assert world.values(alpha, STUDY, "StudyInstanceUID") == closed
    assert world.values(beta, STUDY, "StudyInstanceUID") == closed
    assert world.retrieve(alpha, STUDY, StudyInstanceUID=MINE.study) == []
    part(world, MINE.patient_key, THEIRS.patient_key)
    assert MINE.study in world.values(alpha, STUDY, "StudyInstanceUID")


def test_a_refusal_gives_nobody_a_reason_to_look_among_originals(world):
    world.store_and_publish(MINE, THEIRS)
    refuse(world, THEIRS.patient_key, Right.PHI)
    with statements(world.engine) as seen:
        assert len(world.find(researcher, STUDY, "StudyInstanceUID")) == 2
        assert len(world.retrieve(researcher, STUDY, StudyInstanceUID=pseudonym(MINE.study))) == 1
    assert not [sql for sql, _values in seen if "phi_study" in sql]


def test_erasing_keeps_links_and_forgets_their_free_text(world):
    join(world, "a", "b")
    with world.engine.begin() as connection:
        withdraw_originals(connection, "a")
        (kept,) = every(connection)
    assert (kept.first_key, kept.reason) == ("a", "")
    assert person(world, "b") == {"a"}
