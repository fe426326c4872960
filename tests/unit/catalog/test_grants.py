import pytest

from catalog.callers import Assertions, Caller, Right
from catalog.contributors import PublisherGrant
from catalog.decision import FIND_ORIGINAL, Granted, Refused, Subject, decide, decide_all
from catalog.grants import ANYONE, Grant, What, Who, every, held_by, revoke, write, write_once
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    FULL,
    NOW,
    STUDY,
    Image,
    alpha,
    beta,
    pseudonym,
    researcher,
)

SUBJECT = Subject("Alpha", 1, "patient", "study", "series")
OPEN = Grant(who=Who(user="u"), what=What(), may=FULL, id=1, reason="because")
CALLER = Caller("c", Assertions(user="u"), FULL)


def test_silence_refuses():
    decision = decide(CALLER, FIND_ORIGINAL, SUBJECT, [], NOW)
    assert isinstance(decision, Refused)
    assert "no grant" in decision.reason


def test_an_allowance_grants_and_says_which():
    decision = decide(CALLER, FIND_ORIGINAL, SUBJECT, [OPEN], NOW)
    assert isinstance(decision, Granted)
    assert {step.grant_id for step in decision.chain} == {1}
    assert "because" in decision.chain[0].words


def test_a_denial_wins_over_any_allowance():
    consent = Grant(
        who=ANYONE, what=What(patient_key="patient"), may=frozenset({Right.PHI}), allow=False, id=2
    )
    decision = decide(CALLER, FIND_ORIGINAL, SUBJECT, [OPEN, consent, OPEN], NOW)
    assert isinstance(decision, Refused)
    assert "denied by grant 2" in decision.reason
    assert isinstance(decide(CALLER, frozenset({Right.FIND}), SUBJECT, [OPEN, consent], NOW), Granted)


def test_the_ceiling_is_never_lifted():
    low = Caller("c", CALLER.assertions, frozenset({Right.FIND}))
    decision = decide(low, FIND_ORIGINAL, SUBJECT, [OPEN], NOW)
    assert isinstance(decision, Refused)
    assert "ceiling" in decision.reason


@pytest.mark.parametrize(("at", "holds"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_grant_holds_from_its_beginning_until_just_before_its_end(at, holds):
    grant = Grant(who=ANYONE, what=What(), may=FULL, not_before_ms=10, not_after_ms=20)
    assert isinstance(decide(CALLER, FIND_ORIGINAL, SUBJECT, [grant], at), Granted) is holds


def test_a_destination_needs_what_the_requester_needs():
    other = Caller("there", Assertions(user="x"), FULL)
    decision = decide_all([CALLER, other], FIND_ORIGINAL, SUBJECT, [OPEN], NOW)
    assert isinstance(decision, Refused)
    assert decision.reason.startswith("there: ")
    assert isinstance(decide_all([CALLER, CALLER], FIND_ORIGINAL, SUBJECT, [OPEN], NOW), Granted)


@pytest.mark.parametrize(
    "what",
    [
        {"facility": "a", "contributor_id": 1},
        {"facility": "a", "patient_key": "p"},
        {"study_key": "s"},
        {"patient_key": "p", "series_key": "e"},
    ],
)
def test_an_ambiguous_subject_is_refused(what):
    with pytest.raises(ValueError, match=r"stands alone|is named with"):
        What(**what)


def test_a_grant_of_nothing_or_of_no_time_is_refused():
    with pytest.raises(ValueError, match="at least one right"):
        Grant(who=ANYONE, what=What(), may=frozenset())
    with pytest.raises(ValueError, match="ends after"):
        Grant(who=ANYONE, what=What(), may=FULL, not_before_ms=5, not_after_ms=5)


def test_a_publisher_grant_needs_a_fact_to_match():
    assert PublisherGrant().of(1, Assertions(user="u")) is None
    assert PublisherGrant(fields=("user",)).of(1, Assertions(user="u")).who == Who(user="u")
    with pytest.raises(ValueError, match="asserted field"):
        PublisherGrant(fields=("shoe_size",))


def test_grants_come_back_as_they_were_written(world):
    grant = Grant(
        who=Who(issuer="https://idp", role="reader"),
        what=What(contributor_id=None, patient_key="p", study_key="s"),
        may=frozenset({Right.FIND, Right.SHARE}),
        allow=False,
        not_before_ms=5,
        not_after_ms=NOW,
        granted_by="admin",
        reason="why",
    )
    with world.engine.begin() as connection:
        written = write(connection, grant)
        assert list(every(connection))[-1] == written
        reader = Assertions(issuer="https://idp", role="writer", user="u", extra=(("role", "reader"),))
        assert written in held_by(connection, reader)
        assert written not in held_by(connection, Assertions(issuer="https://idp"))


def test_an_origin_writes_once_and_what_was_revoked_stays_revoked(world):
    grant = Grant(who=Who(user="u"), what=What(), may=FULL, origin="setting:x")
    with world.engine.begin() as connection:
        write_once(connection, [grant, grant])
        (written,) = (each for each in every(connection) if each.origin == "setting:x")
        assert revoke(connection, written.id, NOW)
        assert not revoke(connection, written.id, NOW + 1)
        write_once(connection, [grant])
        (after,) = (each for each in every(connection) if each.origin == "setting:x")
    assert not after.holds_at(NOW)
    assert after.holds_at(NOW - 1)


def test_the_papers_story(world):
    """Two institutions publish one patient; a dated grant opens it to the other, a refusal closes it."""
    world.store(Image("1.1"))
    world.store(Image("1.2", contributor=BETA, study="2.2", series="3.2"))
    world.publish(Image("1.1"), Image("1.2", contributor=BETA, study="2.2", series="3.2"))

    def originals(caller, at=NOW):
        found = world.find(caller, STUDY, "StudyInstanceUID", at=at)
        return [match.values["StudyInstanceUID"] for match in found if match.original]

    assert (originals(alpha), originals(beta), originals(researcher)) == (["1.2.1"], ["2.2"], [])
    lent = Grant(
        who=Who(user="dr.no", institution="Alpha Hospital"),
        what=What(contributor_id=2, patient_key=Image("1.2").patient_key),
        may=FULL,
        not_after_ms=NOW + 1000,
        granted_by="beta",
    )
    with world.engine.begin() as connection:
        write(connection, lent)
    assert sorted(originals(alpha)) == ["1.2.1", "2.2"]
    assert originals(alpha, at=NOW + 1000) == ["1.2.1"]
    refusal = Grant(
        who=ANYONE,
        what=What(patient_key=Image("1.2").patient_key, study_key=pseudonym("2.2")),
        may=frozenset({Right.PHI}),
        allow=False,
    )
    with world.engine.begin() as connection:
        write(connection, refusal)
    assert originals(alpha) == ["1.2.1"]
    assert originals(beta) == []
    # What the refusal closes is still there in its de-identified form.
    assert pseudonym("2.2") in world.values(beta, STUDY, "StudyInstanceUID")


def test_contributors_are_numbered_as_the_story_says(world):
    world.store(Image("1.1"))
    world.store(Image("1.2", contributor=BETA))
    with world.engine.connect() as connection:
        given = [grant for grant in every(connection) if grant.granted_by == "publication"]
    assert [grant.who.institution for grant in given] == [ALPHA.institution, BETA.institution]
    assert [grant.what.contributor_id for grant in given] == [1, 2]
