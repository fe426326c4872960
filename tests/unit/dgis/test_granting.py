from dataclasses import replace

import pytest

from catalog.audit import trail
from catalog.callers import Right
from catalog.grants import ANYONE, Grant, What, Who, every
from catalog.links import linked_with
from dgis.erasure.subject import NobodyMeant
from dgis.granting import acts
from dgis.granting.acts import Actor, NotDone
from dgis.granting.subjects import Directory
from dgis.keyholder.protocol import Keys
from tests.unit.catalog.world import (
    BETA,
    FULL,
    NOW,
    SERIES,
    STUDY,
    Image,
    World,
    alpha,
    key,
    open_engine,
    pseudonym,
)

MINE = Image("1.1")
THEIRS = Image("1.2", contributor=BETA, patient="P2", study="2.2", series="3.2")
A, B = MINE.patient_key, THEIRS.patient_key
ACTOR = Actor("operator", "gateway-1/cli", NOW)
LATER = replace(ACTOR, now_ms=NOW + 1000)
DR_NO = Who(user="dr.no")


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    world = World(engine)
    world.store_and_publish(MINE, THEIRS)
    yield world
    engine.dispose()


@pytest.fixture
def connection(world):
    with world.engine.begin() as connection:
        yield connection


def recorded(connection):
    return [entry.happening for entry in trail.entries(connection, ACTOR.writer)]


def on(patient_key, **changes):
    return Grant(DR_NO, What(patient_key=patient_key), FULL, reason="second opinion", **changes)


def names(identifiers):
    facility = identifiers.issuer or "Alpha"
    return Keys(key(facility, identifiers.patient_id), "", "", "")


def test_a_grant_is_written_with_its_record(connection):
    (given,) = acts.give(connection, ACTOR, on(A, not_after_ms=NOW + 5))
    assert given.granted_by == "operator"
    assert list(every(connection))[-1] == given
    (happening,) = recorded(connection)
    assert (happening.event, happening.caller, happening.patients) == ("grant", "operator", (A,))
    assert happening.detail == {
        "act": "grant",
        "grant": given.id,
        "effect": "allow",
        "who": "user=dr.no",
        "what": f"patient {A}",
        "may": "find, retrieve, phi",
        "from_ms": 0,
        "until_ms": NOW + 5,
        "reason": "second opinion",
    }


def test_a_grant_that_would_be_over_is_not_given(connection):
    with pytest.raises(NotDone, match="over already"):
        acts.give(connection, ACTOR, on(A, not_after_ms=NOW))
    assert recorded(connection) == []


def test_revoking_ends_a_grant_and_takes_out_one_that_has_not_begun(connection):
    (running,) = acts.give(connection, ACTOR, on(A))
    (coming,) = acts.give(connection, ACTOR, on(A, not_before_ms=NOW + 5000))
    assert acts.revoke(connection, LATER, running.id) == running
    assert acts.revoke(connection, LATER, coming.id) == coming
    left = {each.id: each for each in every(connection)}
    assert coming.id not in left
    assert not left[running.id].holds_at(LATER.now_ms)
    assert [each.detail["act"] for each in recorded(connection)] == ["grant", "grant", "revoke", "revoke"]
    for gone in (running.id, coming.id, 999):
        with pytest.raises(NotDone, match="no grant of that number"):
            acts.revoke(connection, LATER, gone)


def test_what_the_configuration_gives_is_not_revoked_here(connection):
    (given,) = acts.give(connection, ACTOR, replace(on(A), origin="configuration:gateway-1:x"))
    with pytest.raises(NotDone, match="configuration"):
        acts.revoke(connection, LATER, given.id)


def test_an_allowance_on_a_person_names_those_linked_now_and_nobody_linked_later(connection):
    acts.join(connection, ACTOR, A, B, "same birth certificate")
    given = acts.give(connection, ACTOR, on(A), linked=True)
    assert {each.what for each in given} == {What(patient_key=A), What(patient_key=B)}
    acts.join(connection, ACTOR, B, "late", "same person")
    assert [each for each in every(connection) if each.what.patient_key == "late"] == []


def test_a_denial_on_a_person_is_one_grant_that_follows_the_links(connection):
    (given,) = acts.give(connection, ACTOR, replace(on(A), allow=False), linked=True)
    assert given.what == What(patient_key=A, linked=True)
    with pytest.raises(NotDone, match="whole patient"):
        acts.give(connection, ACTOR, Grant(DR_NO, What(contributor_id=1), FULL), linked=True)


def test_links_are_acts_with_their_record(connection):
    acts.join(connection, ACTOR, B, A, "same birth certificate")
    with pytest.raises(NotDone, match="linked already"):
        acts.join(connection, ACTOR, A, B, "again")
    with pytest.raises(NotDone, match="same patient"):
        acts.join(connection, ACTOR, A, A, "itself")
    assert linked_with(connection, A) == {B}
    acts.part(connection, LATER, A, B, "a mistake")
    with pytest.raises(NotDone, match="no link"):
        acts.part(connection, LATER, A, B, "again")
    told = [(each.detail["act"], each.patients, each.detail["reason"]) for each in recorded(connection)]
    both = tuple(sorted((A, B)))
    assert told == [("link", both, "same birth certificate"), ("unlink", both, "a mistake")]


def test_a_refusal_wins_until_it_is_withdrawn(world):
    def originals(at):
        return [match for match in world.find(alpha, STUDY, at=at) if match.original]

    with world.engine.begin() as connection:
        acts.refuse(connection, ACTOR, A, "refused in writing")
        acts.give(connection, ACTOR, on(A))
        with pytest.raises(NotDone, match="refused already"):
            acts.refuse(connection, ACTOR, A, "again")
    assert originals(NOW) == []
    assert world.values(alpha, STUDY, "StudyInstanceUID") == sorted([pseudonym("1.2.1"), pseudonym("2.2")])
    with world.engine.begin() as connection:
        acts.withdraw_refusal(connection, LATER, A)
        with pytest.raises(NotDone, match="nothing is refused"):
            acts.withdraw_refusal(connection, LATER, A)
        assert [each.detail["act"] for each in recorded(connection)] == [
            "refuse",
            "grant",
            "withdraw-refusal",
        ]
    assert len(originals(LATER.now_ms)) == 1


def test_all_can_be_refused(world):
    with world.engine.begin() as connection:
        acts.refuse(connection, ACTOR, A, "refused", everything=True)
        refusal = acts.refusals(connection, A)[0]
    assert refusal.may == {Right.FIND, Right.RETRIEVE, Right.PHI, Right.SHARE}
    assert refusal.who == ANYONE
    assert world.values(alpha, STUDY, "StudyInstanceUID") == [pseudonym("2.2")]


def test_nothing_is_changed_where_the_record_is_not_taken(world, monkeypatch):
    def broken(*_arguments):
        raise OSError("no trail")

    monkeypatch.setattr(trail, "append", broken)
    with pytest.raises(OSError, match="no trail"), world.engine.begin() as connection:
        acts.refuse(connection, ACTOR, A, "refused")
    with world.engine.begin() as connection:
        assert acts.refusals(connection, A) == []


def test_people_and_things_are_named_by_pseudonym_or_original(connection):
    directory = Directory(connection, lambda: names)
    for named in (A, A.upper(), "P1^^^", "P1^^^Alpha"):
        assert directory.patient(named) == A
    for uid in (MINE.study, pseudonym(MINE.study)):
        assert directory.study(uid) == What(patient_key=A, study_key=pseudonym(MINE.study))
    series = What(patient_key=A, study_key=pseudonym(MINE.study), series_key=pseudonym(MINE.series))
    for uid in (MINE.series, pseudonym(MINE.series)):
        assert directory.series(uid) == series
    assert directory.contributor(2) == 2
    assert directory.facility("Alpha") == "Alpha"


@pytest.mark.parametrize("named", ["P1", "nobody", "P9^^^", "^^^Alpha", "P1^^^Elsewhere", ""])
def test_nobody_is_meant_by_what_leads_to_nobody(connection, named):
    with pytest.raises(NobodyMeant) as refused:
        Directory(connection, lambda: names).patient(named)
    assert "P1" not in str(refused.value)
    assert "P9" not in str(refused.value)


def test_a_patient_of_whom_nothing_came_is_named_only_on_purpose(connection):
    directory = Directory(connection, lambda: names)
    assert directory.patient("P9^^^", unseen=True) == key("Alpha", "P9")


def test_a_uid_that_two_patients_have_needs_the_patient(world):
    world.store(Image("1.7", patient="P7"))
    with world.engine.begin() as connection:
        directory = Directory(connection, lambda: names)
        with pytest.raises(NobodyMeant, match="several"):
            directory.study(MINE.study)
        assert directory.study(MINE.study, A).patient_key == A
        for wrong in (directory.study, directory.series):
            with pytest.raises(NobodyMeant, match="nothing"):
                wrong("9.9")
        with pytest.raises(NobodyMeant, match="contributor"):
            directory.contributor(99)
        with pytest.raises(NobodyMeant, match="facility"):
            directory.facility("Omega")


def test_a_series_grant_opens_that_series_alone(world):
    world.store(Image("1.8", contributor=BETA, patient="P2", study="2.2", series="3.8"))
    with world.engine.begin() as connection:
        what = Directory(connection, lambda: names).series("3.2")
        acts.give(connection, ACTOR, Grant(DR_NO, what, FULL, reason="one series"))
    found = [match.values for match in world.find(alpha, SERIES, "SeriesInstanceUID") if match.original]
    assert sorted(each["SeriesInstanceUID"] for each in found) == sorted([MINE.series, "3.2"])
