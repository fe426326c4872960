"""HTTP admits whom the DICOM door admits, as the same caller."""

import base64
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import KeySet

from catalog.callers import ALL_RIGHTS, Assertions, Right
from catalog.credentials import accounts
from catalog.credentials.authority import TOKEN_EXTENSION
from catalog.credentials.issuers import KeysAway
from catalog.credentials.passcodes import Account, hashed
from catalog.credentials.values import Reason, Rejected, Verified
from catalog.tables import metadata
from dgis.configuration import AssertionSet, Peer
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Admitted, Attempt
from dgis.identity.addresses import is_loopback
from dgis.identity.authenticate import Authenticator, Stranger, Trust
from dgis.identity.issuers import Issuers
from dgis.identity.keys import JwksKeys
from dgis.identity.requests import JWT, KERBEROS, PASSCODE, SAML, Presented, identity_of
from tests.unit.catalog.credentials.makers import (
    IDP,
    KEY,
    NOW_S,
    assertion,
    assertion_issuer,
    token,
    token_issuer,
)
from tests.unit.catalog.credentials.test_authority import CLIENT, GRID, LOGIN, verifier
from tests.unit.dgis.identity.makers import client_certificate

HERE = "127.0.0.1"
ANYBODY = Peer(ae_title="ANYBODY", may=frozenset(right.value for right in ALL_RIGHTS))
BOUND = Peer(
    ae_title="BOUND",
    may=frozenset({"find", "phi"}),
    certificate_names=("DNS:ws1.*",),
    assertions=AssertionSet(user="ws1"),
)
STRICT = Peer(
    ae_title="STRICT", may=frozenset({"find"}), certificate_names=("DNS:ws2.*",), requires=frozenset({"jwt"})
)
HASH = hashed("crab key")


@pytest.fixture
def authenticator(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'identity.sqlite'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        said = Assertions(user="dr-no", institution="Hospital A")
        accounts.add(connection, Account("dr-no", HASH, said, frozenset({Right.FIND, Right.PHI})))
    issuers = Issuers({IDP: token_issuer(), GRID.uri: verifier()}, {IDP: assertion_issuer()})
    trust = Trust((BOUND, STRICT, ANYBODY), issuers, "gateway-1", grid=GRID.uri)
    yield Authenticator(trust, engine, lambda: NOW_S * 1000)
    engine.dispose()


def grid_certificate():
    return GRID.certificate(LOGIN, CLIENT, 300, NOW_S).public_bytes(Encoding.DER)


IDENTITIES = {
    "a token": UserIdentity(JWT, token()),
    "a token of the grid": UserIdentity(JWT, GRID.token(LOGIN, 300, NOW_S).encode()),
    "an expired token": UserIdentity(JWT, token(exp=NOW_S - 100)),
    "an assertion": UserIdentity(SAML, assertion(name="_here")),
    "an assertion for somebody else": UserIdentity(SAML, assertion(audience="urn:other")),
    "a passcode": UserIdentity(PASSCODE, b"dr-no", b"crab key"),
    "a wrong passcode": UserIdentity(PASSCODE, b"dr-no", b"wrong"),
    "a ticket": UserIdentity(KERBEROS, b"ticket"),
}


@pytest.mark.parametrize("certificate", [None, grid_certificate()], ids=["", "a certificate of the grid"])
@pytest.mark.parametrize("case", [None, *IDENTITIES])
def test_http_takes_a_credential_for_whom_the_dicom_door_takes_it(authenticator, case, certificate):
    """An association of a peer whose entry limits nothing, and a request with the same credentials."""
    identity = IDENTITIES.get(case)
    requested = identity
    if case == "an assertion":  # it is used once: each door gets one of its own
        requested = replace(identity, primary=assertion(name="_there"))
    associated = authenticator.authenticate(Attempt("DGIS", "ANYBODY", HERE, identity, certificate, True))
    asked = authenticator.authenticate_request(Presented(HERE, requested, certificate, encrypted=True))
    if identity is None and certificate is None:
        assert isinstance(asked, Stranger)  # where title and address are all, HTTP knows nobody
        return
    if isinstance(associated, Rejected):
        assert asked == associated
        return
    assert isinstance(associated, Admitted)
    assert isinstance(asked, Verified)
    assert (asked.assertions, asked.may) == (associated.caller.assertions, associated.caller.may)


def test_a_bound_certificate_makes_the_same_caller_at_both_doors(authenticator):
    certificate = client_certificate("ws1.hospital.example")
    associated = authenticator.authenticate(Attempt("DGIS", "BOUND", HERE, None, certificate, True))
    asked = authenticator.authenticate_request(Presented(HERE, None, certificate, encrypted=True))
    assert (asked.assertions, asked.may) == (associated.caller.assertions, associated.caller.may)
    assert asked.name == "DNS:ws1.hospital.example"
    assert asked.until_ms is not None


def test_a_certificate_counts_where_its_peer_may_be(authenticator):
    certificate = client_certificate("ws1.hospital.example")
    asked = authenticator.authenticate_request(Presented("192.0.2.1", None, certificate, encrypted=True))
    assert isinstance(asked, Stranger)


def test_what_a_peer_must_present_besides_is_asked_for(authenticator):
    certificate = client_certificate("ws2.hospital.example")
    alone = authenticator.authenticate_request(Presented(HERE, None, certificate, encrypted=True))
    assert isinstance(alone, Stranger)
    both = authenticator.authenticate_request(
        Presented(HERE, IDENTITIES["a token"], certificate, encrypted=True)
    )
    assert (both.assertions.user, both.may) == ("dr-no", {Right.FIND})


def test_a_passcode_that_others_could_read_is_refused(authenticator):
    asked = authenticator.authenticate_request(Presented("192.0.2.1", IDENTITIES["a passcode"]))
    assert asked == Rejected(Reason.NEEDS_TLS)


def test_a_proof_ends_with_the_first_of_its_parts(authenticator):
    both = Presented(
        HERE, IDENTITIES["a token of the grid"], client_certificate("ws1.hospital.example"), True
    )
    assert authenticator.authenticate_request(both).until_ms == (NOW_S + 300) * 1000


def basic(text):
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], None),
        ([b"Bearer a.b.c"], UserIdentity(JWT, b"a.b.c")),
        ([b"bearer   a.b.c "], UserIdentity(JWT, b"a.b.c")),
        ([b"Bearer"], UserIdentity(JWT, b"")),
        ([basic(b"dr-no:a:b")], UserIdentity(PASSCODE, b"dr-no", b"a:b")),
        ([basic(b"dr-no:")], UserIdentity(PASSCODE, b"dr-no", b"")),
        ([basic(b"dr-no")], Rejected(Reason.MALFORMED)),
        ([b"Basic %%%"], Rejected(Reason.MALFORMED)),
        ([b"Negotiate dGlja2V0"], UserIdentity(KERBEROS, b"ticket")),
        ([b"Negotiate %%%"], Rejected(Reason.MALFORMED)),
        ([b"Digest a=b"], Rejected(Reason.UNSUPPORTED)),
        ([b""], Rejected(Reason.UNSUPPORTED)),
        ([b"Bearer a.b.c", b"Bearer a.b.c"], Rejected(Reason.MALFORMED)),
    ],
)
def test_the_authorization_field_is_read(fields, found):
    assert identity_of(fields) == found


@pytest.mark.parametrize(
    ("address", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True)]
    + [(address, False) for address in ("192.0.2.1", "::ffff:192.0.2.1", "localhost", "", "testclient")],
)
def test_an_address_is_of_this_machine_or_not(address, own):
    assert is_loopback(address) is own


def test_a_slow_issuer_holds_up_one_caller_and_not_the_others():
    asked, go_on = threading.Event(), threading.Event()
    clock = [1000.0]

    def fetch():
        if clock[0] > 1000.0:
            asked.set()
            assert go_on.wait(30)
            raise KeysAway
        return KeySet([KEY])

    keys = JwksKeys(fetch, lambda: clock[0])
    keys.keys(fresh=False)
    clock[0] += 400
    waiting = threading.Thread(target=lambda: keys.keys(fresh=False))
    waiting.start()
    assert asked.wait(30)
    assert keys.keys(fresh=True).keys  # with the thread above still asking
    go_on.set()
    waiting.join(30)


def test_the_key_of_a_certificate_of_the_grid_is_the_only_one_its_token_counts_with(authenticator):
    stolen = GRID.certificate(LOGIN, ec.generate_private_key(ec.SECP256R1()).public_key(), 300, NOW_S)
    inside = stolen.extensions.get_extension_for_oid(TOKEN_EXTENSION).value.value
    asked = authenticator.authenticate_request(Presented(HERE, UserIdentity(JWT, inside), None, True))
    assert asked == Rejected(Reason.UNBOUND)
