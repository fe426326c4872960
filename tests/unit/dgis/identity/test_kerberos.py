from pathlib import Path

import pytest
from pydantic import ValidationError

from dgis.identity import kerberos
from dgis.identity.configuration import IdentitySection
from dgis.identity.issuers import trusted
from dgis.identity.kerberos import acceptor

REALM = {"kind": "kerberos", "uri": "urn:a", "realm": "A.TEST", "states": {"institution": "Hospital A"}}


@pytest.mark.parametrize(
    ("size", "head"),
    [(1, "600e"), (114, "607f"), (115, "608180"), (242, "6081ff"), (243, "60820100"), (60_000, "6082ea6d")],
)
def test_a_bare_request_is_framed_with_the_length_in_der(size, head):
    framed = kerberos._framed(b"x" * size)
    assert framed.startswith(bytes.fromhex(head) + kerberos._MECHANISM + b"\1\0")
    assert framed.endswith(b"x" * size)


def test_a_response_is_as_bare_as_its_request():
    response = b"\x60\x0e" + kerberos._MECHANISM + b"\2\0" + b"\x6f"
    assert kerberos._bare(response) == b"\x6f"
    assert kerberos._bare(b"") == b""


def test_without_keytab_or_library_there_is_nothing_to_open_tickets(monkeypatch, tmp_path):
    assert acceptor(None, tmp_path / "seen") is None
    monkeypatch.setattr(kerberos, "library_is_there", lambda: False)
    assert acceptor(tmp_path / "keytab", tmp_path / "seen") is None


def test_a_realm_is_known_by_its_name_and_states_what_is_configured():
    section = IdentitySection(keytab_file=Path("k"), issuers=(REALM,))
    realm = trusted(section).realms["A.TEST"]
    assert realm.issuer.uri == "urn:a"
    assert realm.stated == {"institution": "Hospital A"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"issuers": [REALM]}, "keytab_file"),
        ({"keytab_file": "k", "issuers": [REALM, {**REALM, "uri": "urn:b"}]}, "the same realm"),
        ({"keytab_file": "k", "issuers": [{**REALM, "states": {"user": "dr-no"}}]}, "states"),
        ({"keytab_file": "k", "issuers": [{**REALM, "states": {"role": "x" * 257}}]}, "256 characters"),
        ({"issuers": [{"kind": "oidc", "uri": "https://a", "realm": "A.TEST"}]}, 'kind = "kerberos"'),
    ],
)
def test_a_realm_that_cannot_be_is_refused_in_words(settings, words):
    with pytest.raises(ValidationError, match=words):
        IdentitySection.model_validate(settings)
