"""Service tickets of real realms, as dcmtk, pynetdicom and HTTP clients present them to a whole gateway."""

import base64
import json

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from dgis.demo.files import write_files
from tests import dcmtk
from tests.gateway import Gateway, wait_until
from tests.kerberos import ELSEWHERE, HOSPITAL, SERVICE, SPNEGO, USER, Realms, bare, require_kerberos

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("kerberos")]

WS = {"ae_title": "WS", "may": ["store", "find"], "requires": ["kerberos"]}
ISSUER = "urn:hospital-a"


@pytest.fixture(scope="module")
def realms(tmp_path_factory):
    require_kerberos()
    dcmtk.require_dcmtk()
    return Realms(tmp_path_factory.mktemp("realms"))


@pytest.fixture(scope="module")
def keytab(realms):
    """Keys for both realms, of which the gateway believes one."""
    return realms.keytab("dicom.keytab", HOSPITAL, ELSEWHERE)


@pytest.fixture(scope="module")
def gateway(realms, keytab):
    issuer = {
        "kind": "kerberos",
        "uri": ISSUER,
        "realm": HOSPITAL,
        "states": {"institution": "Hospital A"},
        "may": ["store", "find"],
    }
    settings = {
        "DGIS__DICOM__PEERS": json.dumps([WS]),
        "DGIS__IDENTITY__KEYTAB_FILE": str(keytab),
        "DGIS__IDENTITY__ISSUERS": json.dumps([issuer]),
        **realms.client_environment,
    }
    with Gateway(settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    write_files(folder, 1)
    return next(folder.rglob("*.dcm"))


def stored(gateway, image, tmp_path, ticket, *options):
    """Whether storescu was admitted with a ticket and its image taken, and what the gateway logged."""
    path = tmp_path / "ticket"
    path.write_bytes(ticket)
    seen = len(gateway.log())
    call = ("-aet", "WS", "-aec", "DGIS", "--kerberos", path, *options)
    done = dcmtk.run("storescu", "-v", *call, *gateway.address, image, check=False)
    return done.returncode == 0, gateway.log()[seen:]


def spoilt(token):
    """The ticket with one bit of what only its service can read turned."""
    at = token.index(b"\x01\x00\x6e") + 250
    return token[:at] + bytes((token[at] ^ 1,)) + token[at + 1 :]


# how the ticket is made from the realms, and the beginning of the reason (None: it is admitted)
MATRIX = {
    "valid": (lambda realms: realms.ticket(), None),
    "valid, bare": (lambda realms: bare(realms.ticket()), None),
    "for another service": (lambda realms: realms.ticket(service="other/localhost"), "it was issued for"),
    "of a realm nobody trusts": (lambda realms: realms.ticket(ELSEWHERE), "nobody trusts its issuer"),
    "expired": (lambda realms: realms.ticket(at="-1h", life="10m"), "it has expired"),
    "of an old clock": (lambda realms: realms.ticket(at="-30m"), "it has expired"),
    "not yet valid": (lambda realms: realms.ticket(at="+1h"), "it is not valid yet"),
    "truncated": (lambda realms: realms.ticket()[:-20], "the credential cannot be read"),
    "bare, truncated": (lambda realms: bare(realms.ticket())[:-20], "the credential cannot be read"),
    "altered": (lambda realms: spoilt(realms.ticket()), "its signature does not fit"),
    "of 60 kB": (lambda realms: realms.ticket().ljust(60_000, b"x"), "the credential cannot be read"),
    "of 60 kB, bare": (
        lambda realms: b"\x6e\x82\xea\x5c".ljust(60_000, b"x"),
        "the credential cannot be read",
    ),
    "no ticket": (lambda _realms: b"no ticket", "the credential cannot be read"),
}


@pytest.mark.parametrize("case", MATRIX)
def test_a_ticket_is_admitted_or_refused_for_its_reason(gateway, realms, image, tmp_path, case):
    make, words = MATRIX[case]
    ticket = make(realms)
    admitted, logged = stored(gateway, image, tmp_path, ticket)
    assert admitted is (words is None), logged
    if words is not None:
        assert words in logged


def test_a_ticket_is_admitted_once_however_it_is_framed(gateway, realms, image, tmp_path):
    ticket = realms.ticket()
    assert stored(gateway, image, tmp_path, ticket)[0]
    for again in (ticket, bare(ticket)):
        admitted, logged = stored(gateway, image, tmp_path, again)
        assert not admitted
        assert "it was used before" in logged


def test_a_ticket_is_admitted_once_by_all_gateways_of_a_database(gateway, realms, image, tmp_path):
    """Another host has not seen it; the database has."""
    ticket = realms.ticket()
    assert stored(gateway, image, tmp_path, ticket)[0]
    (gateway.home / "run" / "tickets-seen").unlink()
    admitted, logged = stored(gateway, image, tmp_path, ticket)
    assert not admitted
    assert "it was used before" in logged


def test_principal_and_realm_become_assertions_as_configured(gateway, realms, image, tmp_path):
    assert stored(gateway, image, tmp_path, realms.ticket())[0]
    callers = lambda: {  # noqa: E731
        entry["caller"] for entry in gateway.json("audit", "list", "--event", "store")
    }
    wait_until(lambda: f"WS <{USER}@{ISSUER}>" in callers(), 10, "the store is in the trail")


@pytest.mark.parametrize("form", [bytes, bare], ids=["framed", "bare"])
def test_the_gateway_proves_itself_where_that_is_asked_for(gateway, realms, monkeypatch, tmp_path, form):
    import gssapi  # noqa: PLC0415 (an extra, which `realms` asks for)

    for name, value in realms.client_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'own'}")
    name = gssapi.Name(f"{SERVICE}@{HOSPITAL}", name_type=gssapi.NameType.kerberos_principal)
    mutual = [gssapi.RequirementFlag.mutual_authentication]
    with realms.serving():
        realms.log_in(HOSPITAL, tmp_path / "own")
        context = gssapi.SecurityContext(name=name, usage="initiate", flags=mutual)
        token = context.step()
    response = associated(gateway, form(token))
    if form is bare:
        assert response[:1] == b"\x6f"  # KRB_AP_REP, APPLICATION 15 (RFC 4120 5.5.2)
        token_of_response = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02\x00" + response
        response = b"\x60\x81" + bytes((len(token_of_response),)) + token_of_response
    context.step(response)
    assert context.complete


def associated(gateway, ticket):
    """Associate by pynetdicom, wanting a positive response; return it."""
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 3, ticket
    identity.positive_response_requested = True
    client = AE("WS")
    client.add_requested_context(Verification)
    association = client.associate(*gateway.address, ae_title="DGIS", ext_neg=[identity])
    assert association.is_established
    answers = [
        item.server_response
        for item in association.acceptor.user_information
        if isinstance(item, UserIdentityNegotiation)
    ]
    association.release()
    return answers[0]


# SPNEGO does not tell why what it carries was refused.
@pytest.mark.parametrize(
    ("mechanism", "reason"), [("", "replayed"), (SPNEGO, "malformed")], ids=["kerberos", "spnego"]
)
def test_http_takes_a_ticket_once(gateway, realms, mechanism, reason):
    ticket = base64.b64encode(realms.ticket(mechanism=mechanism)).decode()
    answers = [
        httpx.get(f"{gateway.web}/api/caller", headers={"Authorization": f"Negotiate {ticket}"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[0].json()["assertions"] == {
        "issuer": [ISSUER],
        "user": [USER],
        "institution": ["Hospital A"],
    }
    assert answers[1].json()["reason"] == reason
    assert "Negotiate" in answers[1].headers["WWW-Authenticate"]


def test_the_doctor_looks_at_the_keytab(gateway):
    found = {each["what"]: each["well"] for each in gateway.json("doctor", check=False)}
    assert found["the library for Kerberos is there"]
    assert any("keytab" in what and well for what, well in found.items())


def test_without_the_keytab_nobody_comes_in_and_the_words_say_so(gateway, realms, keytab, image, tmp_path):
    ticket = realms.ticket()
    keytab.rename(keytab.with_suffix(".gone"))
    try:
        admitted, logged = stored(gateway, image, tmp_path, ticket)
    finally:
        keytab.with_suffix(".gone").rename(keytab)
    assert not admitted
    assert "the keys of its issuer cannot be had now" in logged


def test_nothing_of_a_ticket_is_logged(gateway):
    assert USER not in gateway.log()
    assert HOSPITAL not in gateway.log()
