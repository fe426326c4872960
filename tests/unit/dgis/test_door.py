from dataclasses import replace

import pytest

from catalog.callers import Right
from catalog.query import Key, Level, Query, Root
from dgis.accounting import Accounts
from dgis.dimse.pdu import CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED, NO_REASON
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Admitted, Attempt, Incoming, Session
from dgis.dimse.status import Refusal, Status
from dgis.door import Behind, Door
from dgis.keyholder.client import KeyholderClient
from tests.unit.dgis.site import CLEARED, phantom

STUDIES = Query(Root.STUDY, Level.STUDY, (Key("StudyInstanceUID"), Key("PatientID")))
CALL = Attempt("DGIS", "HOSPITAL_1", "127.0.0.1")


@pytest.fixture
def door(site, tmp_path):
    reading = site.engine.execution_options(read_only=True)
    retriever = site.retriever(KeyholderClient(tmp_path / "nobody"))
    accounts = Accounts(site.engine, site.name)
    return Door(site.configuration, Behind(reading, site.log, retriever, None, accounts, site.clock))


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
    assert door.admit(attempt) == answer


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


def test_an_abandoned_query_gives_its_connection_back(door, site):
    site.receive(phantom(2))
    before = site.engine.pool.checkedout()
    unread = door.find(session(Right.FIND, Right.PHI), STUDIES)
    begun = door.find(session(Right.FIND, Right.PHI), STUDIES)
    next(begun)
    assert site.engine.pool.checkedout() == before + 2
    unread.close()
    begun.close()
    assert site.engine.pool.checkedout() == before
    assert len(list(door.find(session(Right.FIND, Right.PHI), STUDIES))) == 1
    assert site.engine.pool.checkedout() == before
