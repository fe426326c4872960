import json
import socket
from dataclasses import replace

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from catalog.audit import trail
from catalog.credentials.authority import LONGEST_SECONDS, judge_certificate
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import Verified
from catalog.tables import metadata
from dgis.dimse.proposal import UserIdentity
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issued import Issued
from dgis.identity.issuers import Issuers
from dgis.identity.login import Counter
from dgis.identity.requests import JWT, SAML, Presented
from dgis.keyholder import protocol
from dgis.keyholder.client import KeyholderClient, Refused
from dgis.keyholder.issue import IssueRequest
from dgis.keyholder.protocol import KeyholderGone
from dgis.keyholder.registry import Registry
from dgis.keyholder.server import KeyholderServer
from tests.unit.catalog.credentials.makers import IDP, NOW_S, assertion, assertion_issuer, token, token_issuer
from tests.unit.catalog.credentials.test_authority import GRID, verifier

HERE = "127.0.0.1"
LOGIN = Presented(HERE, UserIdentity(JWT, token()), encrypted=True)


def der(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


STRONG, WEAK = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 1024)


@pytest.fixture
def engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def client(engine, tmp_path):
    issuers = Issuers({IDP: token_issuer()}, {IDP: assertion_issuer()})
    authenticator = Authenticator(Trust((), issuers, "gateway-1"), engine, lambda: NOW_S * 1000)
    counter = Counter(authenticator, GRID, engine, "gateway-1/worker", lambda: NOW_S * 1000)
    path = tmp_path / "run" / "keyholder.sock"
    server = KeyholderServer(path, lambda _: iter(()), lambda _: None, Registry(counter))
    server.start()
    yield KeyholderClient(path)
    server.stop()


def recorded(engine):
    with engine.connect() as connection:
        return [entry.happening for entry in trail.latest(connection, 10)]


def test_a_token_is_issued_for_a_login_and_recorded(client, engine):
    made = client.issue(IssueRequest(LOGIN, 60))
    assert isinstance(made, Issued)
    assert made.until_s == NOW_S + 60
    assert isinstance(verify_token(made.credential.encode(), {GRID.uri: verifier()}, NOW_S), Verified)
    (happening,) = recorded(engine)
    assert (happening.detail, happening.address) == ({"form": "token", "seconds": 60}, HERE)


def test_a_certificate_is_issued_for_a_key(client):
    made = client.issue(IssueRequest(LOGIN, 60, der(STRONG)))
    certificate = x509.load_pem_x509_certificate(made.credential.encode())
    judged = judge_certificate(certificate.public_bytes(Encoding.DER), verifier(), NOW_S)
    assert judged.assertions.user == "dr-no"


def test_it_ends_with_the_login(client):
    assert client.issue(IssueRequest(LOGIN, LONGEST_SECONDS)).until_s == NOW_S + 300


@pytest.mark.parametrize(
    ("presented", "reason"),
    [
        (replace(LOGIN, identity=UserIdentity(JWT, token(exp=NOW_S - 100))), "EXPIRED"),
        (replace(LOGIN, identity=UserIdentity(SAML, assertion()), recipient="https://other"), "AUDIENCE"),
        (replace(LOGIN, identity=None), ""),
    ],
)
def test_what_does_not_prove_who_it_is_is_refused_and_not_recorded_here(client, engine, presented, reason):
    refused = client.issue(IssueRequest(presented, 60))
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert refused.words
    assert recorded(engine) == []


@pytest.mark.parametrize(
    "request_of",
    [
        IssueRequest(LOGIN, 0),
        IssueRequest(LOGIN, LONGEST_SECONDS + 1),
        IssueRequest(LOGIN, 60, b"no key"),
        IssueRequest(LOGIN, 60, der(WEAK)),
    ],
)
def test_what_no_door_of_ours_asks_for_ends_that_connection_only(client, engine, request_of):
    with pytest.raises(KeyholderGone):
        client.issue(request_of)
    assert recorded(engine) == []
    assert isinstance(client.issue(IssueRequest(LOGIN, 60)), Issued)


def test_the_root_is_the_public_half(client):
    root = client.root()
    assert root["issuer"] == GRID.uri
    assert all("d" not in key for key in root["jwks"]["keys"])


@pytest.mark.parametrize(
    "asked",
    [
        LOGIN,
        Presented("", None, b"\x30\x00", encrypted=False),
        Presented("::1", UserIdentity(SAML, b"<x/>", b"\xff"), None, True, "https://grid.example/acs"),
    ],
)
@pytest.mark.parametrize("key", [None, b"\0\1"])
def test_a_request_crosses_the_socket_as_it_is(asked, key):
    left, right = socket.socketpair()
    with left, right:
        protocol.send_request(left, IssueRequest(asked, 60, key))
        assert protocol.receive_request(right) == IssueRequest(asked, 60, key)


@pytest.mark.parametrize(
    "said", [{}, {"kind": "x"}, {**IssueRequest(LOGIN, 60).written(), "primary": "!"}, {"seconds": None}]
)
def test_something_else_is_no_request(said):
    left, right = socket.socketpair()
    with left, right:
        body = json.dumps({"issue": said}).encode()
        left.sendall(len(body).to_bytes(4, "big") + body)
        with pytest.raises(ValueError):  # noqa: PT011 (which one is for nobody to rely on)
            protocol.receive_request(right)
