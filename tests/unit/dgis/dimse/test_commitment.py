"""Storage commitment on the wire: the action and its refusals, and reports on the association that asked."""

import pytest
from pynetdicom.sop_class import CTImageStorage, Verification

from dgis.dimse.commands import Field
from dgis.dimse.limits import Limits
from dgis.dimse.references import Commitment, Failed, Outcome, Reference, encoded
from dgis.dimse.services import DueReport, Note
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import EXPLICIT_LE, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tests.gateway import wait_until
from tests.tools.client import Client
from tests.tools.commitment import Requestor, action
from tests.unit.dgis.dimse.fakes import SLOW_ENOUGH, Archive, serving
from tests.unit.dgis.dimse.parrot import CT

PAIR = (CT, "1.2.3.4")
HEAD = {
    "CommandField": 0x0130,
    "MessageID": 3,
    "RequestedSOPClassUID": STORAGE_COMMITMENT,
    "RequestedSOPInstanceUID": STORAGE_COMMITMENT_INSTANCE,
    "ActionTypeID": 1,
}
DONE = Outcome("1.2.3", "DGIS", [Reference(*PAIR)], [])
FAILED = Outcome("1.2.4", "DGIS", [], [Failed(Reference(*PAIR), 0x0112)])


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch):
    monkeypatch.setattr("dgis.dimse.commitment._LOOK_SECONDS", 0.05)


def requestor(port, answers=(), **more):
    return Requestor(("127.0.0.1", port), "MODALITY", answers, **more)


def test_a_request_is_taken_and_answered(archive):
    with serving(archive) as port, requestor(port) as peer:
        assert peer.ask("1.2.3", [PAIR]) == 0
    assert archive.commitments == [Commitment("1.2.3", (Reference(*PAIR),))]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"transaction": "1.2.3", "pairs": []}, Status.INVALID_ARGUMENT),
        ({"transaction": "1.2.3", "pairs": [PAIR], "action_type": 2}, Status.NO_SUCH_ACTION),
        ({"transaction": "1.2.3", "pairs": [PAIR], "instance": "1.2.840.9"}, Status.NO_SUCH_INSTANCE),
        ({"transaction": "1.2.3", "pairs": [PAIR] * 101}, Status.RESOURCE_LIMITATION),
    ],
)
def test_what_is_no_request_is_refused_and_the_association_goes_on(archive, asked, status):
    limits = Limits(**{**_values(SLOW_ENOUGH), "most_references": 100})
    with serving(archive, limits) as port, requestor(port, contexts=[Verification]) as peer:
        assert peer.ask(**asked) == status
        assert peer.association.send_c_echo().Status == 0
    assert archive.commitments == []
    refused = [event for event in archive.events if event.note is Note.REQUEST_REFUSED]
    assert [event.status for event in refused] == [status]


def _values(limits):
    return {name: getattr(limits, name) for name in limits.__slots__}


def test_a_refusal_of_the_gateway_is_answered_as_it_is(archive):
    archive.refusal = Refusal(Status.DUPLICATE_TRANSACTION, "used before")
    with serving(archive) as port, requestor(port) as peer:
        assert peer.ask("1.2.3", [PAIR]) == 0x0131


def test_an_enormous_request_is_read_to_its_end_and_refused(archive):
    limits = Limits(**{**_values(SLOW_ENOUGH), "identifier_bytes": 4096})
    with serving(archive, limits) as port, requestor(port, contexts=[Verification]) as peer:
        assert peer.ask("1.2.3", [(CT, f"1.2.3.{number}") for number in range(2000)]) == 0x0213
        assert peer.association.send_c_echo().Status == 0


def test_a_request_on_a_context_of_another_class_is_none(archive):
    with (
        serving(archive) as port,
        Client(("127.0.0.1", port), "MODALITY", [(CTImageStorage, [EXPLICIT_LE])]) as client,
    ):
        (context,) = client.accepted
        client.link.send(context, HEAD, encoded(action("1.2.3", [PAIR]), EXPLICIT_LE))
        assert client.link.receive().command["Status"] == 0x0122
    assert archive.commitments == []


@pytest.mark.parametrize("status", [0x0000, 0x0110])
def test_reports_come_on_the_association_that_asked(archive, status):
    with serving(archive) as port, requestor(port, [status, status]) as peer:
        assert peer.ask("1.2.3", [PAIR]) == 0
        archive.due += [DueReport(1, "a", DONE), DueReport(2, "b", FAILED)]
        first, second = peer.wait(2)
        wait_until(lambda: len(archive.statuses) == 2, 20, "both are noted")
    assert (first.event_type, first.committed, first.failed) == (1, [PAIR], [])
    assert (second.event_type, second.committed, second.failed) == (2, [], [(*PAIR, 0x0112)])
    assert archive.statuses == [(1, status), (2, status)]


def test_a_peer_may_ask_for_more_while_it_waits(archive):
    with serving(archive) as port, requestor(port, contexts=[Verification]) as peer:
        peer.ask("1.2.3", [PAIR])
        for number in range(5):
            assert peer.association.send_c_echo().Status == 0
            archive.due.append(DueReport(number, "c", DONE))
        peer.wait(5)


class Slow:
    """A peer on a wire of its own, that sends a request of its own before it answers a report."""

    def __init__(self, port):
        self.client = Client(
            ("127.0.0.1", port),
            "MODALITY",
            [(STORAGE_COMMITMENT, [EXPLICIT_LE]), ("1.2.840.10008.1.1", [EXPLICIT_LE])],
        )

    def ask(self, client):
        context = client.context(STORAGE_COMMITMENT)
        client.link.send(context, HEAD, encoded(action("1.2.3", [PAIR]), EXPLICIT_LE))
        assert client.link.receive().command["Status"] == 0
        return context


def test_a_request_that_crosses_the_report_is_answered_and_the_report_too(archive):
    with serving(archive) as port:
        peer = Slow(port)
        with peer.client as client:
            context = peer.ask(client)
            archive.due.append(DueReport(1, "a", DONE))
            sent = client.link.receive()
            assert sent.command["CommandField"] == Field.N_EVENT_REPORT_RQ
            assert client.echo() == 0
            answer = {
                "CommandField": 0x8100,
                "MessageIDBeingRespondedTo": sent.command["MessageID"],
                "AffectedSOPClassUID": STORAGE_COMMITMENT,
                "Status": 0,
            }
            client.link.send(context, answer)
            wait_until(lambda: archive.statuses == [(1, 0)], 20, "the answer is noted")


def test_a_report_that_is_never_answered_ends_the_association(archive):
    limits = Limits(**{**_values(SLOW_ENOUGH), "response_seconds": 0.2})
    with serving(archive, limits) as port:
        peer = Slow(port)
        client = peer.client.__enter__()
        peer.ask(client)
        archive.due.append(DueReport(1, "a", DONE))
        wait_until(
            lambda: archive.events[-1:] and archive.events[-1].note is Note.ASSOCIATION_ENDED, 20, "it ends"
        )
        client.link.close()
    assert "too slow: response" in archive.events[-1].words
    assert archive.statuses == []


def test_silence_adds_up_however_often_it_is_looked_at(archive):
    limits = Limits(**{**_values(SLOW_ENOUGH), "idle_seconds": 0.5})
    with serving(archive, limits) as port:
        peer = Slow(port)
        client = peer.client.__enter__()
        peer.ask(client)
        wait_until(lambda: archive.events[-1].note is Note.ASSOCIATION_ENDED, 20, "it ends")
        client.link.close()
    assert "too slow: idle" in archive.events[-1].words
    assert archive.looks > 2


def test_a_door_that_stops_ends_an_association_that_waits_for_a_report(archive):
    with serving(archive) as port:
        peer = Slow(port)
        client = peer.client.__enter__()
        peer.ask(client)
        wait_until(lambda: archive.looks, 20, "the door looks for a report")
    client.link.close()  # `serving` asserts that the door stopped by itself


def test_who_asked_for_nothing_is_not_looked_after(archive):
    with serving(archive) as port, requestor(port, contexts=[Verification]) as peer:
        assert peer.association.send_c_echo().Status == 0
    assert archive.looks == 0
