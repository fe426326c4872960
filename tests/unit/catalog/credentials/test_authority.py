import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import KeySet

from catalog.callers import Assertions, Right
from catalog.credentials.authority import (
    LONGEST_SECONDS,
    TOKEN_EXTENSION,
    Authority,
    grid_issuer,
    judge_certificate,
)
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import Reason, Rejected, Verified
from tests.unit.catalog.credentials.makers import IDP, NOW_S, US, Keys, token, token_issuer

GRID = Authority("urn:dgis:grid:test", US, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Authority("urn:dgis:grid:test", US, Ed25519PrivateKey.from_private_bytes(bytes(32)))
SAID = Assertions(IDP, "dr-no", "Radiology", "Hospital A", "reader", extra=(("role", "teacher"),))
LOGIN = Verified("dr-no", SAID, frozenset({Right.FIND, Right.PHI}), (NOW_S + 600) * 1000)
CLIENT = ec.generate_private_key(ec.SECP256R1()).public_key()


def verifier(authority=GRID):
    return grid_issuer(authority.uri, US, Keys(KeySet.import_key_set(json.loads(authority.jwks()))))


def judged(credential, now_s=NOW_S):
    return verify_token(credential.encode(), {GRID.uri: verifier()}, now_s)


def judged_certificate(certificate, grid=None):
    return judge_certificate(certificate, grid or verifier(), NOW_S)


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


def test_a_token_bears_what_the_login_proved_and_who_vouched_for_it():
    proven = judged(GRID.token(LOGIN, 3600, NOW_S))
    assert isinstance(proven, Verified)
    assert (proven.name, proven.assertions, proven.may) == ("dr-no", SAID, LOGIN.may)


def test_it_ends_with_the_login_or_when_asked():
    assert judged(GRID.token(LOGIN, 3600, NOW_S)).until_ms == LOGIN.until_ms
    assert judged(GRID.token(LOGIN, 60, NOW_S)).until_ms == (NOW_S + 60) * 1000
    assert judged(GRID.token(LOGIN, 60, NOW_S), now_s=NOW_S + 121) == Rejected(Reason.EXPIRED)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
def test_a_credential_is_short_lived(seconds):
    with pytest.raises(ValueError, match="lives"):
        GRID.token(LOGIN, seconds, NOW_S)


def test_an_expired_login_gets_none():
    with pytest.raises(ValueError, match="expired"):
        GRID.token(LOGIN, 60, NOW_S + 600)


def test_a_token_of_another_authority_is_none_of_ours():
    assert judged(OTHER.token(LOGIN, 60, NOW_S)) == Rejected(Reason.SIGNATURE)


def test_a_foreign_issuer_cannot_relay_or_raise_its_ceiling():
    forged = token(dgis_may=["phi", "administer"], dgis={"issuer": ["urn:dgis:grid:test"]})
    proven = verify_token(forged, {IDP: token_issuer(may=frozenset({Right.FIND}))}, NOW_S)
    assert isinstance(proven, Verified)
    assert (proven.assertions.issuer, proven.may) == (IDP, {Right.FIND})


def test_a_certificate_holds_the_token():
    proven = judged_certificate(der(GRID.certificate(LOGIN, CLIENT, 60, NOW_S)))
    assert isinstance(proven, Verified)
    assert (proven.assertions, proven.may) == (SAID, LOGIN.may)


def test_a_certificate_of_another_authority_proves_nothing():
    forged = der(OTHER.certificate(LOGIN, CLIENT, 60, NOW_S))
    assert judged_certificate(forged) == Rejected(Reason.SIGNATURE)


def test_a_token_of_ours_in_a_certificate_of_another_proves_nothing():
    stolen = GRID.token(LOGIN, 60, NOW_S)
    forged = (
        x509.CertificateBuilder()
        .subject_name(GRID.root(NOW_S).subject)
        .issuer_name(GRID.root(NOW_S).subject)
        .public_key(CLIENT)
        .serial_number(1)
        .not_valid_before(dt.datetime.fromtimestamp(NOW_S, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(NOW_S + 60, dt.UTC))
        .add_extension(x509.UnrecognizedExtension(TOKEN_EXTENSION, stolen.encode()), critical=False)
        .sign(OTHER.key, None)
    )
    assert judged_certificate(der(forged)) == Rejected(Reason.SIGNATURE)


def test_without_the_public_key_a_certificate_proves_nothing():
    away = grid_issuer(GRID.uri, US, Keys(KeySet([]), away=True))
    certificate = der(GRID.certificate(LOGIN, CLIENT, 60, NOW_S))
    assert judged_certificate(certificate, away) == Rejected(Reason.KEYS_AWAY)


def test_a_certificate_without_a_token_is_judged_by_its_names():
    assert judged_certificate(der(GRID.root(NOW_S))) is None


@pytest.mark.parametrize("certificate", [b"", b"no certificate", bytes(100_000)])
def test_what_is_no_certificate_proves_nothing(certificate):
    assert isinstance(judged_certificate(certificate), Rejected)
