"""Sessions in a database: the cookie opens them, time and their owner end them, and one process renews."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

import dgis.schema  # noqa: F401 - makes the tables known
from dgis.sessions import sealing
from dgis.sessions.store import Store, forget_over
from dgis.sessions.tables import web_session
from dgis.sessions.values import New, SessionKind, owner_of
from dgis.tables import metadata

HELD = {"token": "a provider's token", "refresh": "and what renews it"}
ALICE = New(SessionKind.OIDC, owner_of("https://idp.example", "alice"), HELD, seconds=1000)
BOB = New(SessionKind.ACCOUNT, owner_of("gateway-1", "bob"), {"account": "bob"}, seconds=1000)


class Clock:
    now_ms = 1_000_000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine, clock):
    return Store(engine, 100, clock)


def test_the_cookie_opens_its_session_in_every_process(store, engine, clock):
    secret = store.open(ALICE)
    found = Store(engine, 100, clock).find(secret)
    assert (found.kind, found.owner, found.held) == (ALICE.kind, ALICE.owner, HELD)
    assert store.find(store.open(BOB)).held == BOB.held


def test_the_database_tells_neither_cookies_nor_what_is_held(store, engine):
    secret = store.open(ALICE)
    with engine.connect() as connection:
        kept = repr(connection.execute(sa.select(web_session)).all())
    for text in (secret, *HELD.values()):
        assert text not in kept


def test_what_is_put_under_another_digest_does_not_open(store, engine):
    mine, other = store.open(BOB), store.open(ALICE)
    with engine.begin() as connection:
        stolen = sa.select(web_session.c.sealed).where(web_session.c.digest == sealing.digest(other))
        put = sa.update(web_session).where(web_session.c.digest == sealing.digest(mine))
        connection.execute(put.values(sealed=stolen.scalar_subquery()))
    assert store.find(mine) is None


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "x" * 44, "é" * 43, "\0" * 43])
def test_what_is_no_cookie_of_ours_opens_nothing(store, secret):
    store.open(ALICE)
    assert store.find(secret) is None


def test_it_ends_without_use_and_at_its_age_however_much_it_is_used(store, clock):
    idle, used = store.open(ALICE), store.open(ALICE)
    for _ in range(19):
        clock.now_ms += 50_000
        assert store.find(used)
    assert store.find(idle) is None
    clock.now_ms += 50_000
    assert store.find(used) is None


def test_a_login_ends_the_session_before_it(store):
    before = store.open(ALICE)
    after = store.open(BOB, before)
    assert (store.find(before), store.find(after).owner) == (None, BOB.owner)


def test_of_somebody_all_end_and_of_nobody_else(store):
    hers, his = [store.open(ALICE) for _ in range(3)], store.open(BOB)
    assert store.end_all(ALICE.owner) == 3
    assert [store.find(secret) for secret in hers] == [None] * 3
    assert store.find(his)
    assert (store.end(his), store.end(his)) == (True, False)


def test_what_may_be_used_once_is_given_once(store):
    secret = store.open(ALICE)
    assert store.take(secret, SessionKind.LOGIN) is None
    assert store.take(secret, SessionKind.OIDC).held == HELD
    assert store.take(secret, SessionKind.OIDC) is None


def test_one_renews_at_a_time_and_another_one_where_that_one_died(store, clock):
    secret = store.open(ALICE)
    clock.now_ms += 50_000
    found = store.find(secret)
    assert (store.begin_renewal(found), store.begin_renewal(found)) == (True, False)
    clock.now_ms += 31_000
    assert store.begin_renewal(found)
    store.renew(secret, {"token": "new"})
    assert store.find(secret).held == {"token": "new"}
    assert store.begin_renewal(found)


def test_what_was_ended_while_it_was_renewed_stays_ended(store):
    secret = store.open(ALICE)
    store.begin_renewal(store.find(secret))
    store.end(secret)
    store.renew(secret, HELD)
    assert store.find(secret) is None


def test_what_is_over_is_forgotten(store, engine, clock):
    store.open(ALICE)
    with engine.begin() as connection:
        assert forget_over(connection, clock.now_ms + 1_000_000) == 0
        assert forget_over(connection, clock.now_ms + 1_000_001) == 1


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=6), st.binary(max_size=60))
def test_only_its_secret_opens_what_was_closed_and_nothing_else_does(held, noise):
    secret, other = sealing.new_secret(), sealing.new_secret()
    closed = sealing.closed(secret, held)
    assert sealing.opened(secret, closed) == held
    assert sealing.opened(other, closed) is None
    assert sealing.opened(secret, closed[:-1]) is None
    assert sealing.opened(secret, noise) is None
