"""Shares: who may make one, what its bearer sees, and when that ends."""

from dataclasses import replace

import pytest

from catalog import grants
from catalog.audit import trail
from catalog.callers import ALL_RIGHTS, SHARED, Assertions, Caller, Right
from catalog.credentials import shares
from catalog.credentials.shares import verify_share
from catalog.credentials.values import Reason, Rejected, Verified
from catalog.grants import ANYONE, Grant, What, Who, write
from catalog.query import Level
from dgis.granting import acts
from dgis.granting.acts import Actor
from dgis.web.logins import caller_of
from dgis.web.problems import Problem
from dgis.web.shares import Shares, ShareWanted
from tests.unit.catalog.world import BETA, NOW, Image, World, alpha, open_engine, pseudonym, researcher

MINE = Image("1.1")
ALSO = Image("1.3", study="2.9", series="3.9")
THEIRS = Image("1.2", contributor=BETA, patient="P2", study="2.2", series="3.2")
SHARER = replace(alpha, may=ALL_RIGHTS)
DAY_MS = 86_400_000


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    world = World(engine)
    world.store_and_publish(MINE, ALSO, THEIRS)
    with engine.begin() as connection:
        may_share = frozenset({Right.SHARE})
        write(connection, Grant(Who(institution=alpha.assertions.institution), What(), may_share))
    yield world
    engine.dispose()


@pytest.fixture
def door(world):
    return Shares(world.engine, "test/web", lambda: NOW)


def bearer(world, token, now_ms=NOW):
    with world.engine.connect() as connection:
        judged = verify_share(connection, token.encode(), now_ms)
    return caller_of(judged) if isinstance(judged, Verified) else judged


def seen(world, caller, now_ms=NOW):
    found = world.find(caller, Level.STUDY, "StudyInstanceUID", at=now_ms)
    return {match.values["StudyInstanceUID"] for match in found}


def shared(door, study=MINE.study, who=SHARER, **wanted):
    return door.add(who, "127.0.0.1", ShareWanted(study=study, **wanted))


def test_a_bearer_sees_what_was_shared_and_nothing_that_is_open_to_others(world, door):
    made = shared(door, pseudonym(MINE.study))
    guest = bearer(world, made.token)
    assert guest.assertions == Assertions(issuer=SHARED, user=made.id)
    assert seen(world, guest) == {pseudonym(MINE.study)}
    assert len(seen(world, researcher)) > 1, "the de-identified form is open to whoever is admitted"


def test_with_phi_it_is_the_original(world, door):
    made = shared(door, may={"find", "retrieve", "phi"})
    assert seen(world, bearer(world, made.token)) == {MINE.study}


def test_what_is_denied_to_everybody_is_denied_to_a_bearer(world, door):
    made = shared(door, may={"find", "retrieve", "phi"})
    with world.engine.begin() as connection:
        (given,) = [each for each in grants.every(connection) if each.origin == f"share:{made.id}"]
        acts.refuse(connection, Actor("x", "test", NOW), given.what.patient_key, "asked", everything=True)
    assert seen(world, bearer(world, made.token)) == set()


def test_a_narrow_grant_to_everybody_opens_nothing_to_a_bearer(world, door):
    made = shared(door, pseudonym(MINE.study))
    with world.engine.begin() as connection:
        what = next(each.what for each in grants.every(connection) if each.origin == f"share:{made.id}")
        whole = What(patient_key=what.patient_key)
        write(connection, Grant(ANYONE, whole, frozenset({Right.FIND, Right.PHI})))
    assert seen(world, bearer(world, made.token)) == {pseudonym(MINE.study)}


def test_it_ends_at_its_time_and_when_it_is_taken_back(world, door):
    short, other = shared(door, days=1), shared(door, days=2)
    assert bearer(world, short.token, NOW + DAY_MS) == Rejected(Reason.EXPIRED)
    guest = bearer(world, other.token)
    door.withdraw(SHARER, "127.0.0.1", other.id)
    assert bearer(world, other.token) == Rejected(Reason.UNKNOWN_TOKEN)
    assert seen(world, guest, NOW + 1) == set(), "also to whom it is known already"
    with pytest.raises(Problem):
        door.withdraw(SHARER, "127.0.0.1", other.id)


# who asks for which study, and for what; all are answered alike
REFUSED = {
    "no such study": (SHARER, {"study": "1.2.3.999"}),
    "somebody else's": (SHARER, {"study": THEIRS.study}),
    "without the right to share": (replace(alpha, may=ALL_RIGHTS - {Right.SHARE}), {}),
    "who may not see the original": (replace(researcher, may=ALL_RIGHTS), {}),
    "further than one sees oneself": (
        replace(SHARER, may=ALL_RIGHTS - {Right.PHI}),
        {"may": {"find", "phi"}},
    ),
    "by an original one may not see": (replace(SHARER, may=ALL_RIGHTS - {Right.PHI}), {}),
    "nobody": (Caller("nobody"), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_does_not_hold_all_of_it_shares_nothing(world, door, case):
    who, wanted = REFUSED[case]
    with pytest.raises(Problem) as refused:
        shared(door, who=who, **wanted)
    assert (refused.value.status, refused.value.reason) == (403, "not_shared")
    with world.engine.connect() as connection:
        assert list(shares.every(connection)) == []


@pytest.mark.parametrize("may", [set(), {"phi"}, {"find", "share"}, {"find", "store"}, {"administer"}])
def test_a_share_is_to_see_and_for_nothing_else(door, may):
    with pytest.raises(Problem):
        shared(door, may=may)


def test_a_bearer_shares_nothing_on(world, door):
    guest = bearer(world, shared(door, may={"find", "retrieve", "phi"}).token)
    with pytest.raises(Problem):
        shared(door, who=guest)


def test_of_others_nobody_sees_or_takes_back_shares(world, door):
    made = shared(door)
    other = replace(SHARER, name="other")
    assert [one.id for one in door.every(SHARER)] == [made.id]
    assert door.every(SHARER)[0].token is None
    assert door.every(other) == []
    with pytest.raises(Problem):
        door.withdraw(other, "127.0.0.1", made.id)


def test_making_and_taking_back_are_in_the_trail_without_the_token(world, door):
    made = shared(door)
    door.withdraw(SHARER, "127.0.0.1", made.id)
    with world.engine.connect() as connection:
        entries = [entry.happening for entry in trail.latest(connection, 100)]
    acts_seen = [one.detail.get("act") for one in entries if one.event.value == "grant"]
    assert sorted(acts_seen) == ["grant", "unshare"]
    assert made.token not in repr([(one, one.detail) for one in entries])
