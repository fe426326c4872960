"""That every entry comes to the repository, whatever becomes of connections and of this process."""

import re
from collections import Counter

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.seal import signing_key
from catalog.audit.values import Event, Happening
from dgis.repository import cursor, sender
from dgis.repository.line import LineError
from dgis.repository.message import Source
from dgis.repository.sender import Means, Sender
from dgis.repository.streams import Reader
from dgis.trail.sealing import TrailSealer

WRITER = "gateway-1/dicom"
KEY = signing_key(bytes(range(32)))
REPOSITORY = "syslog+tls://arr:6514"


class Repository:
    """A repository that may be away, lose what is on the way, or end the connection."""

    def __init__(self):
        self.got = []
        self.connections = 0
        self.away = False
        self.loses = False

    def connect(self):
        if self.away:
            raise LineError("no answer in time")
        self.connections += 1
        self.line = FakeLine(self)
        return self.line

    def numbers(self, what=WRITER):
        pattern = re.compile(rf"audit:{what}/(\d+)".encode())
        heads = [message for message in self.got if b"TRAIL-HEAD" not in message]
        return [int(pattern.search(message)[1]) for message in heads if pattern.search(message)]


class FakeLine:
    def __init__(self, repository):
        self.repository = repository
        self.ended = False

    def send(self, messages):
        self.check()
        if not self.repository.loses:
            self.repository.got += messages

    def check(self):
        if self.ended:
            raise LineError("the repository ended the connection")

    def close(self):
        self.ended = True


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def repository():
    return Repository()


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def made(site, repository, seconds):
    """A sender as a process that starts makes it."""
    reader = Reader(Source("host", "Site", "DGIS"), KEY.public_key())

    def make():
        return Sender(
            Means(site.engine, "gateway-1", REPOSITORY, reader, repository.connect, site.clock, 60.0, seconds)
        )

    return make


def write(site, count, writer=WRITER):
    with site.engine.begin() as connection:
        happenings = [Happening(Event.ACTIVITY, "", detail={"what": "start"}) for _ in range(count)]
        trail.append(connection, writer, happenings, site.clock())


def drain(sender):
    while sender.run_once():
        pass


def state(site):
    with site.engine.connect() as connection:
        return cursor.state(connection, "gateway-1")


def test_the_whole_trail_of_this_gateway_goes_in_order_and_once(site, repository, made):
    write(site, 600)
    write(site, 3, "gateway-1/worker")
    write(site, 2, "gateway-10/dicom")
    sending = made()
    drain(sending)
    write(site, 1)
    drain(sending)
    drain(sending)
    assert repository.numbers() == [*range(1, 602)]
    assert repository.numbers("gateway-1/worker") == [1, 2, 3]
    assert repository.numbers("gateway-10/dicom") == []
    assert repository.connections == 1


def test_signed_heads_go_too(site, repository, made):
    write(site, 2)
    TrailSealer(site.engine, site.grid.fleet, KEY, site.clock).run_once()
    sending = made()
    drain(sending)
    assert sum(b"TRAIL-HEAD" in message for message in repository.got) == 1
    assert repository.numbers() == [1, 2]


def test_a_repository_that_is_away_delays_and_loses_nothing(site, repository, seconds, made):
    repository.away = True
    write(site, 5)
    sending = made()
    drain(sending)
    first = state(site)
    assert (first["waiting"], first["trouble"]) == (5, "no answer in time")
    assert first["waiting_since_ms"] == first["trouble_since_ms"] == site.clock()
    site.clock.pass_seconds(4 * 3600)
    write(site, 5)
    seconds.now += 4 * 3600
    drain(sending)
    later = state(site)
    assert (later["waiting"], later["trouble_since_ms"]) == (10, first["trouble_since_ms"])
    assert later["waiting_since_ms"] == first["waiting_since_ms"]
    repository.away = False
    seconds.now += 60
    drain(sending)
    assert repository.numbers() == [*range(1, 11)]
    now = state(site)
    assert (now["waiting"], now["trouble"], now["waiting_since_ms"], now["unsettled"]) == (0, None, None, 10)


def test_a_repository_that_is_away_is_not_asked_all_the_time(site, repository, seconds, made, monkeypatch):
    asked = Counter()
    connect = repository.connect
    monkeypatch.setattr(repository, "connect", lambda: asked.update(n=1) or connect())
    repository.away = True
    write(site, 1)
    sending = made()
    for _ in range(600):
        sending.run_once()
        seconds.now += 1
    assert 10 <= asked["n"] <= 16


def test_what_a_dead_connection_swallowed_is_sent_again(site, repository, seconds, made):
    write(site, 3)
    sending = made()
    drain(sending)
    seconds.now += 61
    drain(sending)
    repository.loses = True
    write(site, 4)
    drain(sending)
    assert state(site)["waiting"] == 0
    repository.line.ended, repository.loses = True, False
    drain(sending)
    assert state(site)["waiting"] == 4
    seconds.now += 2
    drain(sending)
    assert repository.numbers() == [*range(1, 8)]  # what was settled is not sent again


def test_what_was_handed_over_lately_is_sent_again_by_the_next_process(site, repository, seconds, made):
    write(site, 3)
    sending = made()
    drain(sending)
    sending.close()
    drain(made())
    assert repository.numbers() == [1, 2, 3, 1, 2, 3]
    last = made()
    drain(last)
    seconds.now += 60
    drain(last)
    drain(made())
    assert repository.numbers() == [1, 2, 3] * 3


def test_an_idle_connection_that_ends_is_no_trouble(site, repository, seconds, made):
    write(site, 1)
    sending = made()
    drain(sending)
    seconds.now += 61
    drain(sending)
    repository.line.ended = True
    drain(sending)
    assert state(site)["trouble"] is None
    write(site, 1)
    drain(sending)
    assert repository.numbers() == [1, 2]
    assert repository.connections == 2


def test_a_crash_between_handing_over_and_noting_it_sends_twice(site, repository, made, monkeypatch):
    write(site, 2)

    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sender.cursor, "move", crash)
        with pytest.raises(KeyboardInterrupt):
            made().run_once()
    drain(made())
    assert repository.numbers() == [1, 2, 1, 2]


def test_a_database_that_fails_for_a_while_loses_nothing(site, repository, made, monkeypatch):
    write(site, 2)
    sending = made()

    def fail(*_args, **_kwargs):
        raise sa.exc.OperationalError("", {}, Exception())

    with monkeypatch.context() as patched:
        patched.setattr(sender.cursor, "move", fail)
        with pytest.raises(sa.exc.OperationalError):
            sending.run_once()
    write(site, 1)
    drain(sending)
    assert sorted(set(repository.numbers())) == [1, 2, 3]
    assert state(site)["waiting"] == 0


def test_another_repository_gets_everything(site, repository, made):
    write(site, 2)
    drain(made())
    other = made()
    object.__setattr__(other._means, "repository", "syslog+tls://other:6514")
    drain(other)
    assert repository.numbers() == [1, 2, 1, 2]
    assert state(site)["repository"] == "syslog+tls://other:6514"


def test_without_a_repository_nothing_is_told(site, made):
    assert state(site) is None
    write(site, 1)
    drain(made())
    with site.engine.begin() as connection:
        cursor.forget(connection, "gateway-1")
    assert state(site) is None
