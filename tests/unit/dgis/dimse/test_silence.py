"""Nothing a peer says of a patient, or of itself, appears in what the door writes or hands on as words."""

import logging

import pytest

from dgis.dimse import store
from dgis.dimse.client import associate
from dgis.dimse.proposal import ProposedContext, UserIdentity
from dgis.dimse.requestor import Party, Proposal, Terms
from dgis.dimse.status import Refusal
from dgis.dimse.uids import EXPLICIT_LE
from tests.unit.dgis.dimse.fakes import SLOW_ENOUGH, Archive, FakeMatch, serving
from tests.unit.dgis.dimse.parrot import (
    CT,
    command,
    data_set,
    encode_request,
    parrot,
    pdata,
    request,
    store_command,
)
from tests.unit.dgis.dimse.test_find import STUDY_FIND, encoded, identifier

CANARY = "Canary"


@pytest.fixture
def everything_logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


def test_a_day_of_a_door_leaves_no_canary(everything_logged, capfd):
    archive = Archive()
    with serving(archive, SLOW_ENOUGH) as port:
        _visit(archive, port)
        _intrude(archive, port)
    written = capfd.readouterr()
    assert "association_ended" in written.out + written.err + everything_logged.text  # something was written
    for text in (written.out, written.err, everything_logged.text):
        assert CANARY.casefold() not in text.casefold()
    assert not [record for record in everything_logged.records if record.name.startswith("pynetdicom")]
    words = [event.words for event in archive.events]
    assert CANARY.casefold() not in " ".join(words).casefold()


def _visit(archive: Archive, port: int) -> None:
    """A peer whose every word holds the canary: stored, refused, found, failing."""
    terms = Terms(identity=UserIdentity(2, CANARY.encode(), CANARY.encode()))
    party = Party("127.0.0.1", port, CANARY.upper(), CANARY.upper())
    proposals = [Proposal(CT, (EXPLICIT_LE,)), Proposal(STUDY_FIND, (EXPLICIT_LE,))]
    with associate(party, proposals, SLOW_ENOUGH, terms) as client:
        context = client.context(CT)
        assert client.store(context, "1.2.3.4", [data_set()]).status == 0
        assert client.store(context, "1.2.3.4", [data_set(study=CANARY)]).status == 0xC000
        assert client.store(context, CANARY, [data_set()]).status == 0x0117
        archive.begin_answer = RuntimeError(CANARY)
        assert client.store(context, "1.2.3.5", [data_set("1.2.3.5")]).status == 0x0110

        def failing(_query):
            yield FakeMatch({"PatientName": CANARY})
            raise RuntimeError(CANARY)

        archive.matches = failing
        asked = encoded(identifier(PatientName=CANARY, PatientID=CANARY), EXPLICIT_LE)
        assert [answer.status for answer in client.find(client.context(STUDY_FIND), asked)] == [
            0xFF00,
            0xC001,
        ]


def _intrude(archive: Archive, port: int) -> None:
    """Bytes out of order that hold the canary, and a decision that fails on it."""
    for words in (CANARY.encode() * 9, encode_request(request(ProposedContext(1, CANARY, (CANARY,))))):
        with parrot(port) as bird:
            bird.say(words + CANARY.encode() * 3)
            bird.socket.shutdown(1)
            while bird.hear()[0]:
                pass
    with parrot(port) as bird:
        bird.associate(ProposedContext(3, CT, (EXPLICIT_LE,)))
        bird.say(
            command(3, store_command(CANARY)) + pdata(3, 2, CANARY.encode()) + pdata(5, 2, CANARY.encode())
        )
        while bird.hear()[0]:
            pass

    def decision(_attempt):
        raise ValueError(CANARY)

    archive.admit = decision
    with parrot(port) as bird:
        bird.say(encode_request(request(calling_ae=CANARY.upper())))
        assert bird.hear()[0] == 3


def test_a_refusal_holds_words_that_a_comment_can_carry():
    refusals = [value for value in vars(store).values() if isinstance(value, Refusal)]
    assert refusals
    for refusal in refusals:
        assert len(refusal.comment) <= 64
        assert refusal.comment.isascii()
