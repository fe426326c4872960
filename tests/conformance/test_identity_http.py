"""Every kind of credential, good and bad, as an HTTP client presents it to a whole gateway over HTTPS."""

import base64
import json
import ssl
import time
from functools import cache

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import KeySet

from catalog.credentials.authority import TOKEN_EXTENSION
from tests.gateway import Gateway, wait_until
from tests.tools.credentials import LONGER, MATRIX, PASSCODE, fresh_name
from tests.unit.catalog.credentials import makers
from tests.unit.dgis.identity.makers import DAY, NOW, SERVER, Authority, authority, new_key, pem

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-identity-http")]

MODALITY = {
    "ae_title": "MODALITY",
    "may": ["store", "find"],
    "assertions": {"user": "ct1", "institution": "Hospital A"},
    "certificate_names": ["DNS:ct1.hospital.example"],
}
STRICT = {
    "ae_title": "STRICT",
    "may": ["find"],
    "certificate_names": ["DNS:strict.hospital.example"],
    "requires": ["jwt"],
}
URL = "https://grid.example"
ELSEWHERE = {
    "ae_title": "ELSEWHERE",
    "may": ["find"],
    "addresses": ["192.0.2.0/24"],
    "certificate_names": ["DNS:elsewhere.hospital.example"],
}


@pytest.fixture(scope="module", autouse=True)
def now():
    """Tokens and assertions of the makers are made for the time that it is."""
    before, makers.NOW_S = makers.NOW_S, int(time.time())
    yield
    makers.NOW_S = before


@pytest.fixture(autouse=True)
def still_now():
    """A long run of tests outlives a token that was made when it began."""
    makers.NOW_S = int(time.time())


@cache
def client_key():
    return new_key()


@cache
def revoked():
    return authority().issue("ct1.hospital.example", client_key())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity-http")
    (folder / "jwks.json").write_text(json.dumps(KeySet([makers.KEY]).as_dict(private=False)))
    (folder / "idp.pem").write_text(makers.Identity(makers.SIGNER.key).pem)
    server = new_key()
    (folder / "server.key").write_bytes(pem(server))
    (folder / "server.pem").write_bytes(pem(authority().issue("localhost", server, usage=SERVER)))
    (folder / "ca.pem").write_bytes(pem(authority().certificate))
    (folder / "crl.pem").write_bytes(pem(authority().revoke(revoked())))
    return folder


@pytest.fixture(scope="module")
def gateway(folder):
    names = {"user": "sub", "institution": "tenant", "department": "groups"}
    issuers = [
        {"kind": "oidc", "uri": makers.IDP, "jwks_file": str(folder / "jwks.json"), "names": names},
        {
            "kind": "saml",
            "uri": makers.IDP,
            "certificate_files": [str(folder / "idp.pem")],
            "names": {"institution": "urn:org", "role": "urn:role"},
        },
    ]
    settings = {
        "DGIS__DICOM__PEERS": json.dumps([MODALITY, STRICT, ELSEWHERE]),
        "DGIS__DICOM__TLS_PORT": "0",
        "DGIS__DICOM__TLS_CERTIFICATE": str(folder / "server.pem"),
        "DGIS__DICOM__TLS_KEY": str(folder / "server.key"),
        "DGIS__DICOM__TLS_CLIENT_CA": str(folder / "ca.pem"),
        "DGIS__WEB__URL": URL,
        "DGIS__WEB__TLS_CERTIFICATE": str(folder / "server.pem"),
        "DGIS__WEB__TLS_KEY": str(folder / "server.key"),
        "DGIS__WEB__TLS_CLIENT_CA": str(folder / "trusted.pem"),
        "DGIS__WEB__TLS_CRL": str(folder / "crl.pem"),
        "DGIS__IDENTITY__AUDIENCE": makers.US,
        "DGIS__IDENTITY__ISSUERS": json.dumps(issuers),
    }
    (folder / "trusted.pem").write_bytes(pem(authority().certificate))
    with Gateway(settings) as gateway:
        account = ("account", "add", "dr-no", "--institution", "Hospital A", "--may", "find", "--may", "phi")
        gateway.cli(*account, typed=f"{PASSCODE}\n")
        with client(gateway, folder) as web:
            root = web.get("/api/credential/root").json()
        (folder / "trusted.pem").write_bytes(pem(authority().certificate) + root["certificate"].encode())
        crl = (folder / "crl.pem").read_bytes()
        (folder / "crl.pem").write_bytes(crl + root["revoked"].encode())
        gateway.restart()  # it reads whom to trust when it starts
        yield gateway


def client(gateway, folder, certificate=None, key=None):
    """An HTTP client that trusts the gateway's certificate, and has one of its own if that is given."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if certificate is not None:
        (folder / "client.pem").write_bytes(pem(certificate) + pem(key or client_key()))
        context.load_cert_chain(folder / "client.pem")
    port = gateway.web.rpartition(":")[2]
    return httpx.Client(base_url=f"https://localhost:{port}", verify=context, timeout=60)


@pytest.fixture
def web(gateway, folder):
    with client(gateway, folder) as web:
        yield web


def present(web, kind, credential):
    """Present a credential where its kind is taken; the answer."""
    if kind == "saml":
        return web.post("/api/credential", json={"assertion": base64.b64encode(credential).decode()})
    if kind == "passcode":
        return web.get("/api/caller", auth=credential)
    scheme = {"jwt": b"Bearer ", "kerberos": b"Negotiate "}[kind]
    written = base64.b64encode(credential) if kind == "kerberos" else credential
    return web.get("/api/caller", headers={"Authorization": scheme + written})


@pytest.mark.parametrize("case", {**MATRIX, **LONGER})
def test_a_credential_is_admitted_or_refused_for_its_reason(gateway, web, case):
    kind, make, words = {**MATRIX, **LONGER}[case]
    answer = present(web, kind, make())
    if words is None:
        assert answer.status_code == 200, answer.text
        return
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(words)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="dgis"')


def test_every_refusal_is_in_the_trail(gateway, web):
    refused = set()
    for kind, make, words in {**MATRIX, **LONGER}.values():
        if words is not None:
            reason = present(web, kind, make()).json()["reason"]
            refused.add((kind, reason))

    def missing():
        entries = gateway.json("audit", "list", "--event", "login", "--limit", "1000")
        details = [entry["detail"] for entry in entries if entry["outcome"] != "success"]
        return refused - {(detail["kind"], detail["reason"]) for detail in details}

    wait_until(lambda: not missing(), 30, "all of them are recorded")


def test_nothing_presented_is_refused_and_says_what_may_be(web):
    answer = web.get("/api/caller")
    assert (answer.status_code, answer.json()["reason"]) == (401, "no_credential")
    assert answer.headers["www-authenticate"] == 'Bearer realm="dgis", Basic realm="dgis", charset="UTF-8"'


@pytest.mark.parametrize("value", ["Basic !!!", "Basic bm9jb2xvbg==", "Bearer", "Digest x=1", "", "x"])
def test_what_cannot_be_read_proves_nothing(web, value):
    assert web.get("/api/caller", headers={"Authorization": value}).status_code == 401


def test_two_credentials_in_the_same_field_prove_nothing(web):
    good = ("Authorization", f"Bearer {makers.token().decode()}")
    assert web.get("/api/caller", headers=[good]).status_code == 200
    assert web.get("/api/caller", headers=[good, good]).status_code == 401


def test_a_token_in_the_url_is_not_looked_at(web):
    assert web.get("/api/caller", params={"access_token": makers.token().decode()}).status_code == 401


def test_an_assertion_is_taken_once(web):
    document = makers.assertion(name=fresh_name())
    assert present(web, "saml", document).status_code == 200
    again = present(web, "saml", document)
    assert (again.status_code, again.json()["reason"]) == (401, "replayed")


def test_that_an_account_rests_is_not_told(gateway, web):
    gateway.cli("account", "add", "dr-yes", typed=f"{PASSCODE}\n")
    answers = [web.get("/api/caller", auth=("dr-yes", "wrong")) for _ in range(6)]
    answers.append(web.get("/api/caller", auth=("nobody", "wrong")))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert "the account rests" in gateway.log()


CERTIFICATES = {
    "of a peer": (lambda: authority().issue("ct1.hospital.example", client_key()), 200),
    "of nobody known": (lambda: authority().issue("ct2.hospital.example", client_key()), 401),
    "of a peer elsewhere": (lambda: authority().issue("elsewhere.hospital.example", client_key()), 401),
    "of a peer that must show more": (
        lambda: authority().issue("strict.hospital.example", client_key()),
        401,
    ),
    "expired": (
        lambda: authority().issue("ct1.hospital.example", client_key(), begin=NOW - 2 * DAY, end=NOW - DAY),
        None,
    ),
    "not yet valid": (
        lambda: authority().issue("ct1.hospital.example", client_key(), begin=NOW + DAY, end=NOW + 2 * DAY),
        None,
    ),
    "for servers": (lambda: authority().issue("ct1.hospital.example", client_key(), usage=SERVER), None),
    "of another authority": (lambda: Authority("other").issue("ct1.hospital.example", client_key()), None),
    "revoked": (revoked, None),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_certificate_is_judged_by_tls_and_bound_to_a_peer(gateway, folder, case):
    make, status = CERTIFICATES[case]
    with client(gateway, folder, make()) as web:
        if status is None:
            with pytest.raises(httpx.TransportError):
                web.get("/api/caller")
            return
        answer = web.get("/api/caller")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["assertions"] == {
            "issuer": ["gateway-1"],
            "user": ["ct1"],
            "institution": ["Hospital A"],
        }
        assert answer.json()["may"] == ["find", "store"]


def test_what_a_peer_must_show_besides_its_certificate_is_its_ceiling(gateway, folder):
    with client(gateway, folder, authority().issue("strict.hospital.example", client_key())) as web:
        answer = present(web, "jwt", makers.token()).json()
    assert answer["may"] == ["find"]
    assert answer["assertions"]["user"] == ["dr-no"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kind", ["jwt", "saml", "passcode", "certificate"])
def test_a_login_becomes_a_token_of_the_grid_that_says_the_same(gateway, folder, web, kind):
    before = None
    if kind == "jwt":
        login = bearer(makers.token().decode())
        before, given = (
            web.get("/api/caller", headers=login),
            web.post("/api/credential", json={}, headers=login),
        )
    elif kind == "passcode":
        login = ("dr-no", PASSCODE)
        before, given = web.get("/api/caller", auth=login), web.post("/api/credential", json={}, auth=login)
    elif kind == "certificate":
        with client(gateway, folder, authority().issue("ct1.hospital.example", client_key())) as device:
            before, given = device.get("/api/caller"), device.post("/api/credential", json={"seconds": 60})
    else:
        given = present(web, "saml", makers.assertion(name=fresh_name()))
    assert given.status_code == 200, given.text
    assert given.json()["token_type"] == "Bearer"
    assert 0 < given.json()["expires_in"] <= 8 * 3600
    after = web.get("/api/caller", headers=bearer(given.json()["access_token"])).json()
    if before is not None:
        for told in ("assertions", "may"):
            assert after[told] == before.json()[told]
    assert after["assertions"]["institution"] == ["Hospital A"]
    issued = gateway.json("audit", "list", "--event", "credential")[0]
    assert issued["detail"]["form"] == "token"
    assert issued["address"] == "127.0.0.1"


def signing_request(key, signer=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the-boss")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_a_login_becomes_a_certificate_for_a_key_that_never_left(gateway, folder, web):
    key = ec.generate_private_key(ec.SECP256R1())
    asked = {"request": signing_request(key), "seconds": 120}
    given = web.post("/api/credential", json=asked, headers=bearer(makers.token().decode()))
    assert given.status_code == 200, given.text
    certificate = x509.load_pem_x509_certificate(given.json()["certificate"].encode())
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "dr-no"
    with client(gateway, folder, certificate, key) as own:
        assert own.get("/api/caller").json()["assertions"]["user"] == ["dr-no"]
    inside = certificate.extensions.get_extension_for_oid(TOKEN_EXTENSION).value.value.decode()
    stolen = web.get("/api/caller", headers=bearer(inside))
    assert (stolen.status_code, stolen.json()["reason"]) == (401, "unbound")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"request": "no request"}, 400),
        ({"request": signing_request(ec.generate_private_key(ec.SECP224R1()))}, 400),
        ({"request": signing_request(rsa.generate_private_key(65537, 1024))}, 400),
        ({"request": "x" * 20_000}, 422),
        ({"assertion": "!"}, 400),
        ({"assertion": base64.b64encode(b"<x/>").decode()}, 400),
        ({"seconds": 0}, 422),
        ({"seconds": 12 * 3600 + 1}, 422),
        ({"seconds": "60"}, 422),
        ({"DOE^JANE": 1}, 422),
    ],
)
def test_what_cannot_be_issued_is_refused_without_repeating_it(web, asked, status):
    answer = web.post("/api/credential", json=asked, headers=bearer(makers.token().decode()))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "DOE" not in answer.text


def test_without_a_login_nothing_is_issued(web):
    assert web.post("/api/credential", json={}).status_code == 401


def test_a_response_posted_by_a_browser_becomes_a_token(web):
    document = b"<p:Response xmlns:p='urn:oasis:names:tc:SAML:2.0:protocol'>%s</p:Response>"
    signed = makers.assertion(name=fresh_name(), recipient=f"{URL}/api/saml/acs")
    response = base64.b64encode(document % signed).decode()
    given = web.post("/api/saml/acs", data={"SAMLResponse": response, "RelayState": "/"})
    assert given.status_code == 200, given.text
    known = web.get("/api/caller", headers=bearer(given.json()["access_token"])).json()
    assert known["assertions"]["role"] == ["reader", "teacher"]
    assert web.post("/api/saml/acs", data={"SAMLResponse": response}).json()["reason"] == "replayed"
    assert web.post("/api/saml/acs", data={"Other": "x"}).status_code == 400


def test_the_root_is_for_everybody(web):
    root = web.get("/api/credential/root").json()
    assert root["issuer"] == "urn:dgis:grid"
    assert "d" not in root["jwks"]["keys"][0]
    x509.load_pem_x509_certificate(root["certificate"].encode())
    x509.load_pem_x509_crl(root["revoked"].encode())


def test_a_decision_is_explained_to_whoever_proves_who_it_is(web):
    asked, login = {"study": "1.2.3"}, bearer(makers.token().decode())
    assert web.post("/api/explain", json=asked).status_code == 401
    told = web.post("/api/explain", json=asked, headers=login)
    assert told.status_code == 200, told.text
    assert not told.json()["granted"]
    assert any("dr-no" in step["words"] for step in told.json()["steps"])
    about = {**asked, "caller": ["user=somebody"]}
    assert web.post("/api/explain", json=about, headers=login).json()["reason"] == "not_administered"
    malformed = web.post("/api/explain", json={"study": "DOE^JANE"}, headers=login)
    assert (malformed.status_code, "DOE" in malformed.text) == (422, False)


def test_no_identifier_of_a_study_is_taken_in_a_url(web):
    login = bearer(makers.token().decode())
    assert web.get("/api/explain", params={"study": "1.2.3"}, headers=login).status_code == 405


def test_no_part_of_a_credential_is_logged(gateway):
    log = gateway.log()
    assert PASSCODE not in log
    assert base64.b64encode(f"dr-no:{PASSCODE}".encode()).decode() not in log
    assert "eyJ" not in log
    assert "Assertion" not in log
    assert "child_died" not in log
