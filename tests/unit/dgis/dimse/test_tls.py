"""The same door over TLS, with the peer's certificate handed to the decision."""

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dgis.dimse.client import associate
from dgis.dimse.commands import Command, Field, response_to
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.limits import Limits
from dgis.dimse.references import Outcome, Reference, write_outcome
from dgis.dimse.requestor import Party, Proposal, Terms, open_association
from dgis.dimse.server import DicomServer
from dgis.dimse.services import DueReport
from dgis.dimse.uids import (
    EXPLICIT_LE,
    IMPLICIT_LE,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    VERIFICATION,
)
from tests.gateway import wait_until
from tests.unit.dgis.dimse.fakes import Archive
from tests.unit.dgis.dimse.parrot import CT, data_set, parrot
from tests.unit.dgis.dimse.test_find import STUDY_FIND, FakeMatch, encoded, identifier

LIMITS = Limits(artim_seconds=1, idle_seconds=1, close_seconds=0.5)
PROPOSALS = [
    Proposal(VERIFICATION, (IMPLICIT_LE,)),
    Proposal(CT, (EXPLICIT_LE,)),
    Proposal(STUDY_FIND, (EXPLICIT_LE,)),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def context(side: ssl.Purpose, certificate) -> ssl.SSLContext:
    made = ssl.create_default_context(side, cafile=certificate)
    made.load_cert_chain(certificate)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def port(archive, certificate):
    server = DicomServer(archive, LIMITS)
    yield server.listen("127.0.0.1", 0, context(ssl.Purpose.CLIENT_AUTH, certificate))
    assert server.stop(5)


@pytest.fixture
def terms(certificate):
    return Terms(tls=context(ssl.Purpose.SERVER_AUTH, certificate))


def test_echo_store_and_find(archive, port, terms):
    archive.matches = lambda _query: iter([FakeMatch({"StudyInstanceUID": "1.2"})] * 500)
    data = data_set(pixel_bytes=3_000_000)
    with associate(Party("localhost", port, "DGIS", "ME"), PROPOSALS, LIMITS, terms) as client:
        assert client.echo() == 0
        assert client.store(client.context(CT), "1.2.3.4", [data]).status == 0
        asked = encoded(identifier(StudyInstanceUID=""), EXPLICIT_LE)
        statuses = [answer.status for answer in client.find(client.context(STUDY_FIND), asked)]
    assert statuses == [0xFF00] * 500 + [0]
    assert archive.instances["1.2.3.4"].data == data
    assert archive.attempts[0].encrypted
    assert x509.load_der_x509_certificate(archive.attempts[0].certificate).serial_number == 1


def test_a_silent_association_is_still_ended(archive, port, terms):
    association, _ = open_association(Party("localhost", port, "DGIS", "ME"), PROPOSALS, LIMITS, terms)
    with pytest.raises(AssociationEndedError):
        association.next_response()
    association.close()
    wait_until(lambda: len(archive.events) == 2, 5, "the end is noted")
    assert archive.events[1].words.startswith("too slow: idle")


def test_a_storage_commitment_is_asked_for_and_reported(archive, port, terms, monkeypatch):
    monkeypatch.setattr("dgis.dimse.commitment._LOOK_SECONDS", 0.05)
    proposals = [Proposal(STORAGE_COMMITMENT, (EXPLICIT_LE,))]
    outcome = Outcome("1.2.3", "DGIS", [Reference(CT, "1.2.3.4")], [])
    data = write_outcome(outcome, EXPLICIT_LE)  # names the same as a request would
    asked = Command(
        field=Field.N_ACTION_RQ,
        requested_sop_class=STORAGE_COMMITMENT,
        requested_sop_instance=STORAGE_COMMITMENT_INSTANCE,
        message_id=1,
        action_type=1,
        has_data_set=True,
    )
    with associate(Party("localhost", port, "DGIS", "ME"), proposals, LIMITS, terms) as client:
        context, association = client.context(STORAGE_COMMITMENT), client.association
        association.send(context.context_id, asked, [data])
        assert association.next_response().command.status == 0
        archive.due.append(DueReport(1, "a", outcome))
        message = association.next_response()
        assert message.command.event_type == 1
        assert association.receive_small_data(message.context) == data
        association.send(context.context_id, response_to(message.command, 0))
        wait_until(lambda: archive.statuses == [(1, 0)], 10, "the answer is noted")


def test_who_does_not_speak_tls_disturbs_nobody(archive, port, terms):
    with parrot(port) as silent, parrot(port) as plain:
        plain.say(b"\1\0\0\0\0\4abcd" + bytes(100))
        assert plain.closed() or plain.hear()[0] in (0, 0x15)
        silent.say(b"\x16")
        with associate(Party("localhost", port, "DGIS", "ME"), PROPOSALS, LIMITS, terms) as client:
            assert client.echo() == 0


def test_a_client_without_tls_hears_no_association(port):
    party = Party("127.0.0.1", port, "DGIS", "ME")
    with pytest.raises(AssociationEndedError):
        open_association(party, PROPOSALS, LIMITS)
