from dataclasses import replace

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from catalog.audit import trail
from catalog.callers import Right
from catalog.query import Key, Level, Query, Root
from catalog.release import Releases
from dgis.accounting import Accounts
from dgis.commitment.desk import Desk
from dgis.dimse.pdu import CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED, NO_REASON
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Admitted, Attempt, Event, Incoming, Note, Session
from dgis.dimse.status import Refusal, Status
from dgis.door import Behind, Door
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.keyholder.client import KeyholderClient
from dgis.trail.recorder import Recorder
from tests.unit.dgis.site import CLEARED, phantom

STUDIES = Query(Root.STUDY, Level.STUDY, (Key("StudyInstanceUID"), Key("PatientID")))
CALL = Attempt("DGIS", "HOSPITAL_1", "127.0.0.1")


@pytest.fixture
def door(site, tmp_path):
    retriever = site.retriever(KeyholderClient(tmp_path / "nobody"))
    accounts = Accounts(site.engine, site.name)
    trust = Trust(site.configuration.dicom.peers, Issuers(), site.name)
    authenticator = Authenticator(trust, site.engine, site.clock)
    return Door(
        site.configuration,
        Behind(
            Releases(site.engine, "test/dicom", site.clock),
            Recorder(site.engine, "test/dicom", site.clock),
            site.log,
            retriever,
            None,
            accounts,
            authenticator,
            site.clock,
            Desk(site.engine, site.name, "test/dicom", site.clock, 30_000),
        ),
    )


def session(*rights):
    return Session(1, replace(CLEARED, may=frozenset(rights)), "DGIS", "HOSPITAL_1", "127.0.0.1")


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        (replace(CALL, called_ae="OTHER"), CALLED_AE_NOT_RECOGNIZED),
        (replace(CALL, calling_ae="STRANGER"), CALLING_AE_NOT_RECOGNIZED),
        (replace(CALL, address="10.0.0.1"), CALLING_AE_NOT_RECOGNIZED),
        *((replace(CALL, identity=UserIdentity(kind, b"x")), NO_REASON) for kind in (2, 3, 4, 5)),
    ],
)
def test_who_is_not_known_is_not_admitted(door, attempt, answer):
    with capture_logs() as logs:
        assert door.admit(attempt) == answer
    assert attempt.address not in str(logs)
    assert attempt.calling_ae not in str(logs)


@pytest.mark.parametrize("identity", [None, UserIdentity(1, b"name")])
def test_a_peer_is_admitted_with_its_rights_and_a_name_adds_none(door, identity):
    admitted = door.admit(replace(CALL, identity=identity))
    assert isinstance(admitted, Admitted)
    assert admitted.caller.may == {Right.STORE, Right.FIND, Right.RETRIEVE, Right.PHI}


def test_without_the_right_nothing_is_done(door):
    incoming = Incoming("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1")
    answers = [
        door.begin_store(session(Right.FIND), incoming),
        door.find(session(Right.STORE), STUDIES),
        door.retrieve(session(Right.FIND), STUDIES, None),
    ]
    assert all(isinstance(answer, Refusal) for answer in answers)
    assert {answer.status for answer in answers} == {Status.NOT_AUTHORIZED}


def test_an_unknown_destination_is_refused_with_advice(door):
    refusal = door.destination(session(Right.RETRIEVE), "NOWHERE")
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.DESTINATION_UNKNOWN
    assert len(refusal.comment) <= 64


def test_a_query_keeps_no_connection_while_its_answers_are_sent(door, site):
    site.receive(phantom(2))
    before = site.engine.pool.checkedout()
    begun = door.find(session(Right.FIND, Right.PHI), STUDIES)
    assert site.engine.pool.checkedout() == before
    assert len(list(begun)) == 1


def test_what_happens_at_the_door_is_in_the_trail(door, site):
    who = session(Right.FIND, Right.PHI)
    ended = Event(Note.QUERY_ENDED, who.address, who, status=0, counts={"matches": 3})
    refused = Event(Note.ASSOCIATION_REFUSED, "10.0.0.9", words="rejected: called AE title not recognized")
    for event in (ended, *[refused] * 500, Event(Note.ASSOCIATION_ENDED, who.address, who, words="released")):
        door.note(event)
    door._behind.recorder.write()
    door._behind.recorder.write()
    with site.engine.connect() as connection:
        kept = [entry.happening for entry in trail.entries(connection, "test/dicom")]
    assert [(one.event.value, int(one.outcome), one.count) for one in kept] == [
        ("query", 0, 1),
        ("association", 4, 500),
    ]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("released", False),
        ("closed without a release: closed by the peer", True),
        ("closed inside a PDU: closed by the peer", True),
        ("protocol violation: 3 stray bytes", True),
        ("too slow: idle: not complete after 60 s", True),
    ],
)
def test_an_association_that_ends_badly_is_in_the_trail(door, site, words, kept):
    who = session(Right.FIND)
    door.note(Event(Note.ASSOCIATION_ENDED, who.address, who, words=words))
    door._behind.recorder.write()
    with site.engine.connect() as connection:
        found = [entry.happening for entry in trail.entries(connection, "test/dicom")]
    assert [(one.detail["words"], int(one.outcome)) for one in found] == [(words, 4)] * kept


def test_a_connection_that_says_nothing_is_no_event(door, site):
    for words in ("closed without a release: closed by the peer", "protocol violation: no TLS came about"):
        door.note(Event(Note.ASSOCIATION_ENDED, "10.0.0.9", words=words))
    door._behind.recorder.write()
    with site.engine.connect() as connection:
        (kept,) = trail.entries(connection, "test/dicom")
    assert kept.happening.detail["words"] == "protocol violation: no TLS came about"


def test_a_flood_of_different_refusals_keeps_its_count(door, site):
    for number in range(3000):
        door.note(Event(Note.ASSOCIATION_REFUSED, f"10.0.{number >> 8}.{number & 255}", words="rejected"))
    door._behind.recorder.write()
    with site.engine.connect() as connection:
        kept = [entry.happening for entry in trail.entries(connection, "test/dicom")]
    assert len(kept) == 2001
    assert sum(one.count for one in kept) == 3000


def failing(*_):
    raise sa.exc.OperationalError("", {}, Exception())


def test_a_database_that_is_away_delays_the_trail_and_loses_nothing(door, site, monkeypatch):
    refused = Event(Note.ASSOCIATION_REFUSED, "10.0.0.9", words="rejected")
    door.note(refused)
    monkeypatch.setattr(trail, "append", failing)
    door._behind.recorder.write()
    monkeypatch.undo()
    door.note(refused)
    door._behind.recorder.write()
    with site.engine.connect() as connection:
        (kept,) = trail.entries(connection, "test/dicom")
    assert kept.happening.count == 2
