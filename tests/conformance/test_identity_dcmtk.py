"""Every kind of credential, good and bad, as dcmtk's clients present it to a whole gateway.

That is storescu: findscu, getscu and movescu (3.6.7) have no option for user identity.
"""

import json
import time
from functools import cache

import pytest
from joserfc.jwk import KeySet

from dgis.demo.files import write_files
from tests import dcmtk
from tests.gateway import Gateway, wait_until
from tests.tools.credentials import MATRIX, PASSCODE, expired
from tests.unit.catalog.credentials import makers
from tests.unit.dgis.identity.makers import DAY, NOW, SERVER, Authority, authority, new_key, pem

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-identity")]

WS = {"ae_title": "WS", "may": ["store", "find", "retrieve", "phi"], "requires": ["jwt", "saml", "passcode"]}
MODALITY = {
    "ae_title": "MODALITY",
    "may": ["store", "find"],
    "certificate_names": ["DNS:ct1.hospital.example"],
}
PLAIN = {"ae_title": "PLAIN", "may": ["find"]}
GRID = {"ae_title": "GRID", "may": ["store", "find"], "requires": ["certificate"]}


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    (folder / "jwks.json").write_text(json.dumps(KeySet([makers.KEY]).as_dict(private=False)))
    (folder / "idp.pem").write_text(makers.Identity(makers.SIGNER.key).pem)
    server = new_key()
    (folder / "server.key").write_bytes(pem(server))
    (folder / "server.pem").write_bytes(pem(authority().issue("localhost", server, usage=SERVER)))
    (folder / "ca.pem").write_bytes(pem(authority().certificate))
    (folder / "crl.pem").write_bytes(pem(authority().revoke(revoked())))
    return folder


@cache
def client_key():
    return new_key()


@cache
def revoked():
    return authority().issue("ct1.hospital.example", client_key())


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
        "DGIS__DICOM__PEERS": json.dumps([WS, MODALITY, GRID, PLAIN]),
        "DGIS__DICOM__TLS_PORT": "0",
        "DGIS__DICOM__TLS_CERTIFICATE": str(folder / "server.pem"),
        "DGIS__DICOM__TLS_KEY": str(folder / "server.key"),
        "DGIS__DICOM__TLS_CLIENT_CA": str(folder / "ca.pem"),
        "DGIS__DICOM__TLS_CRL": str(folder / "crl.pem"),
        "DGIS__DICOM__TLS_CLIENT_CERTIFICATE": "optional",
        "DGIS__IDENTITY__AUDIENCE": makers.US,
        "DGIS__IDENTITY__ISSUERS": json.dumps(issuers),
    }
    with Gateway(settings) as gateway:
        account = ("account", "add", "dr-no", "--institution", "Hospital A", "--may", "find", "--may", "phi")
        gateway.cli(*account, "--may", "store", typed=f"{PASSCODE}\n")
        root = gateway.cli("credential", "root").stdout.encode()
        (folder / "ca.pem").write_bytes(pem(authority().certificate) + root)
        gateway.restart()  # it reads whom to trust when it starts
        yield gateway


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    write_files(folder, 1)
    return next(folder.rglob("*.dcm"))


def presented(folder, kind, credential):
    if kind == "passcode":
        name, passcode = credential
        return ("--user", name, "--password", passcode)
    path = folder / f"credential.{kind}"
    path.write_bytes(credential)
    return (f"--{kind}", path)


def stored(gateway, calling, image, *options, tls=()):
    """Whether storescu was admitted and its image taken, and what it said."""
    address = gateway.tls_address if tls else gateway.address
    call = ("-aet", calling, "-aec", "DGIS", *tls, *options)
    done = dcmtk.run("storescu", "-v", *call, *address, image, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def without_client(folder):
    return ("+tla", "+cf", folder / "ca.pem")


def with_client(folder, certificate, key=None):
    """Options of a client with a certificate, whose files they name."""
    (folder / "client.pem").write_bytes(pem(certificate))
    (folder / "client.key").write_bytes(pem(key or client_key()))
    return ("+tls", folder / "client.key", folder / "client.pem", "+cf", folder / "ca.pem")


@pytest.mark.parametrize("case", MATRIX)
def test_a_credential_is_admitted_or_refused_for_its_reason(gateway, folder, image, case):
    kind, make, words = MATRIX[case]
    seen = len(gateway.log())
    options = presented(folder, kind, make())
    admitted, said = stored(gateway, "WS", image, *options, tls=without_client(folder))
    assert admitted is (words is None), said
    if words is not None:
        assert words in gateway.log()[seen:]
        assert "Rejected" in said


def test_no_part_of_a_credential_is_logged(gateway):
    log = gateway.log()
    assert PASSCODE not in log
    assert "eyJ" not in log
    assert "Assertion" not in log


def test_an_assertion_is_admitted_once(gateway, folder, image):
    document = makers.assertion(name="_twice")
    options = presented(folder, "saml", document)
    stored(gateway, "WS", image, *options, tls=without_client(folder))
    admitted, _said = stored(gateway, "WS", image, *options, tls=without_client(folder))
    assert not admitted
    assert "it was used before" in gateway.log()


def test_a_positive_response_is_sent_where_it_is_asked_for(gateway, folder, image):
    options = presented(folder, "jwt", makers.token())
    admitted, said = stored(gateway, "WS", image, *options, "--pos-response", tls=without_client(folder))
    assert admitted, said


def test_a_passcode_in_clear_is_refused(gateway, folder, image):
    seen = len(gateway.log())
    assert not stored(gateway, "WS", image, *presented(folder, "passcode", ("dr-no", PASSCODE)))[0]
    assert "a passcode is taken over TLS only" in gateway.log()[seen:]


@pytest.mark.parametrize("options", [(), ("--user", "dr-no")], ids=["nothing", "a name"])
def test_a_peer_that_must_present_a_credential_is_refused_without(gateway, folder, image, options):
    assert not stored(gateway, "WS", image, *options, tls=without_client(folder))[0]
    assert not stored(gateway, "WS", image, *options)[0]


CERTIFICATES = {
    "bound": (lambda: authority().issue("ct1.hospital.example", client_key()), True),
    "of another device": (lambda: authority().issue("ct2.hospital.example", client_key()), False),
    "expired": (
        lambda: authority().issue("ct1.hospital.example", client_key(), begin=NOW - 2 * DAY, end=NOW - DAY),
        False,
    ),
    "not yet valid": (
        lambda: authority().issue("ct1.hospital.example", client_key(), begin=NOW + DAY, end=NOW + 2 * DAY),
        False,
    ),
    "for servers": (lambda: authority().issue("ct1.hospital.example", client_key(), usage=SERVER), False),
    "of another authority": (lambda: Authority("other").issue("ct1.hospital.example", client_key()), False),
    "revoked": (revoked, False),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_certificate_is_bound_to_its_title_and_judged(gateway, folder, image, case):
    make, good = CERTIFICATES[case]
    admitted, said = stored(gateway, "MODALITY", image, tls=with_client(folder, make()))
    assert admitted is good, said


def test_without_its_certificate_a_bound_title_is_refused(gateway, folder, image):
    assert not stored(gateway, "MODALITY", image)[0]
    assert not stored(gateway, "MODALITY", image, tls=without_client(folder))[0]


def issued(gateway, folder, form, *login, typed=""):
    """A credential of the grid for a login, in a file."""
    out = folder / f"issued.{form}"
    as_certificate = ("--certificate",) if form == "certificate" else ()
    gateway.cli("credential", "issue", *login, *as_certificate, "--out", str(out), typed=typed)
    assert out.stat().st_mode & 0o777 == 0o600
    return out


@pytest.mark.parametrize("kind", ["jwt", "saml", "passcode"])
def test_a_login_becomes_a_token_of_the_grid_that_says_the_same(gateway, folder, image, kind):
    if kind == "passcode":
        login, typed = ("--user", "dr-no"), f"{PASSCODE}\n"
    else:
        made = makers.token() if kind == "jwt" else makers.assertion(name="_for_a_token")
        (folder / "login").write_bytes(made)
        login, typed = (("--token" if kind == "jwt" else "--saml"), str(folder / "login")), ""
    token = issued(gateway, folder, "token", *login, typed=typed).read_bytes().strip()
    options = presented(folder, "jwt", token)
    admitted, said = stored(gateway, "WS", image, *options, tls=without_client(folder))
    assert admitted, said
    caller = gateway.json("audit", "list", "--event", "credential")[0]["caller"]
    vouching = "gateway-1" if kind == "passcode" else makers.IDP
    assert caller == f"dr-no <dr-no@{vouching}>"


def test_a_login_that_does_not_verify_becomes_nothing(gateway, folder):
    (folder / "login").write_bytes(makers.token(**expired()))
    done = gateway.cli("credential", "issue", "--token", str(folder / "login"), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it has expired" in done.stderr


def test_a_certificate_of_the_grid_carries_the_assertions_over_tls(gateway, folder, image):
    (folder / "login").write_bytes(makers.token())
    both = issued(gateway, folder, "certificate", "--token", str(folder / "login"))
    tls = ("+tls", both, both, "+cf", folder / "ca.pem")
    admitted, said = stored(gateway, "GRID", image, tls=tls)
    assert admitted, said
    wait_until(
        lambda: [
            entry
            for entry in gateway.json("audit", "list", "--event", "store")
            if entry["caller"] == f"GRID <dr-no@{makers.IDP}>"
        ],
        10,
        "the store by the certificate's owner",
    )


def test_the_gateway_still_serves(gateway):
    dcmtk.echo(gateway.address, "PLAIN")
    assert "child_died" not in gateway.log()
