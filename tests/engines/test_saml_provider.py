"""Assertions of a real SAML provider at both doors: verified, used once, refused for their reasons."""

import base64
import copy
import html
import json
import re
import time
from urllib.parse import urljoin

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from dgis.demo.files import write_files
from tests import dcmtk
from tests.engines.providers import ACS, free_port, saml_provider
from tests.gateway import Gateway, wait_until
from tests.unit.catalog.credentials import makers

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("saml-provider")]

US = "urn:dgis:test"
WS = {"ae_title": "WS", "may": ["store", "find", "retrieve", "phi"], "requires": ["saml", "jwt"]}
NAMES = {"saml": makers.SAML, "ds": "http://www.w3.org/2000/09/xmldsig#"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saml")


@pytest.fixture(scope="module", autouse=True)
def now():
    """The provider's certificate is made for the time that it is."""
    before, makers.NOW_S = makers.NOW_S, int(time.time())
    yield
    makers.NOW_S = before


@pytest.fixture(scope="module")
def provider(folder, now):
    with saml_provider(free_port(), folder) as base:
        yield base


@pytest.fixture(scope="module")
def gateway(provider, folder):
    issuer = {
        "kind": "saml",
        "uri": f"{provider}/idp",
        "audiences": [US],
        "certificate_files": [str(folder / "idp.crt")],
    }
    settings = {
        "DGIS__DICOM__PEERS": json.dumps([WS]),
        "DGIS__IDENTITY__ISSUERS": json.dumps([issuer]),
        "DGIS__WEB__URL": ACS.removesuffix("/api/saml/acs"),
    }
    with Gateway(settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    write_files(folder, 1)
    return next(folder.rglob("*.dcm"))


def response(provider, login="alice", audience=US):
    """The SAML response that the provider lets the browser of somebody who logs in post."""
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        page = browser.get(f"{provider}/saml2/idp/SSOService.php", params={"spentityid": audience})
        action = html.unescape(re.search(r'<form[^>]*action="([^"]+)"', page.text)[1])
        state = html.unescape(re.search(r'name="AuthState" value="([^"]+)"', page.text)[1])
        fields = {"AuthState": state, "username": login, "password": f"{login}pass"}
        page = browser.post(urljoin(str(page.url), action), data=fields)
    return base64.b64decode(html.unescape(re.search(r'name="SAMLResponse" value="([^"]+)"', page.text)[1]))


def assertion_of(document):
    """The assertion alone, as it lies in a response."""
    return etree.tostring(etree.fromstring(document).find("saml:Assertion", NAMES), with_tail=False)


def posted(gateway, document):
    fields = {"SAMLResponse": base64.b64encode(document).decode()}
    return httpx.post(f"{gateway.web}/api/saml/acs", data=fields, timeout=30)


def exchanged(gateway, document):
    asked = {"assertion": base64.b64encode(document).decode()}
    return httpx.post(f"{gateway.web}/api/credential", json=asked, timeout=30)


def over_dimse(gateway, folder, document, image, kind="saml"):
    """Whether an association with the credential is admitted and takes an image."""
    path = folder / f"credential.{kind}"
    path.write_bytes(document)
    call = ("-aet", "WS", "-aec", "DGIS", f"--{kind}", path)
    return dcmtk.run("storescu", *call, *gateway.address, image, check=False).returncode == 0


def test_a_browser_brings_a_response_and_has_a_token_for_both_doors(provider, gateway, folder, image):
    given = posted(gateway, response(provider))
    assert given.status_code == 200, given.text
    token = given.json()["access_token"]
    known = httpx.get(f"{gateway.web}/api/caller", headers={"Authorization": f"Bearer {token}"}).json()
    assert known["assertions"] == {
        "issuer": [f"{provider}/idp"],
        "user": ["alice"],
        "institution": ["Hospital A"],
        "role": ["reader", "teacher"],
    }
    assert over_dimse(gateway, folder, token.encode(), image, "jwt")


@pytest.mark.parametrize("alone", [True, False], ids=["assertion", "response"])
def test_what_the_provider_signs_is_taken_by_the_dicom_door_once(provider, gateway, folder, image, alone):
    document = response(provider, "bob")
    document = assertion_of(document) if alone else document
    assert over_dimse(gateway, folder, document, image)
    assert not over_dimse(gateway, folder, document, image)
    again = exchanged(gateway, document)
    assert (again.status_code, again.json()["reason"]) == (401, "replayed")
    wait_until(
        lambda: (
            f"WS <bob@{provider}/idp>"
            in [entry["caller"] for entry in gateway.json("audit", "list", "--event", "store")]
        ),
        20,
        "what he sent is recorded as his",
    )


def test_a_response_is_taken_once_over_http_too(provider, gateway, folder, image):
    document = response(provider)
    assert exchanged(gateway, document).status_code == 200
    assert exchanged(gateway, document).json()["reason"] == "replayed"
    assert not over_dimse(gateway, folder, document, image)


def test_an_assertion_of_55_kb_is_taken_at_both_doors(provider, gateway, folder, image):
    assert exchanged(gateway, assertion_of(response(provider, "many"))).status_code == 200
    assert over_dimse(gateway, folder, assertion_of(response(provider, "many")), image)


def signed_by(folder, document, name=None, **changed):
    """The provider's assertion, changed and signed anew: by its own key, or by another's."""
    root = etree.fromstring(assertion_of(document))
    root.remove(root.find("ds:Signature", NAMES))
    conditions = root.find("saml:Conditions", NAMES)
    for attribute, seconds in changed.items():
        conditions.set(attribute, makers.moment(seconds))
    signer = makers.STRANGER if name else _provider_signer(folder)
    return etree.tostring(makers.signed(etree.tostring(root), signer))


def _provider_signer(folder):
    key = load_pem_private_key((folder / "idp.key").read_bytes(), None)
    signer = makers.Identity(key)
    signer.certificate = x509.load_pem_x509_certificate((folder / "idp.crt").read_bytes())
    return signer


def evil(document):
    """An assertion that says something else under the same name, without a signature of its own."""
    root = etree.fromstring(document)
    found = root.find("saml:Assertion", NAMES)
    other = copy.deepcopy(found)
    other.remove(other.find("ds:Signature", NAMES))
    other.find("saml:Subject/saml:NameID", NAMES).text = "the-boss"
    other.set("ID", "_evil")
    return root, found, other


def before_it(document):
    root, found, other = evil(document)
    found.addprevious(other)
    return etree.tostring(root)


def around_it(document):
    root, found, other = evil(document)
    root.replace(found, other)
    etree.SubElement(other, f"{{{makers.SAML}}}Advice").append(found)
    other.insert(1, copy.deepcopy(found.find("ds:Signature", NAMES)))
    return etree.tostring(root)


def in_its_signature(document):
    root, found, other = evil(document)
    signature = copy.deepcopy(found.find("ds:Signature", NAMES))
    root.replace(found, other)
    etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(found)
    other.insert(1, signature)
    return etree.tostring(root)


def without_signatures(document):
    root = etree.fromstring(document)
    for each in root.findall(".//ds:Signature", NAMES):
        each.getparent().remove(each)
    return etree.tostring(root)


BAD = {
    "expired": (lambda folder, said: signed_by(folder, said, NotOnOrAfter=-61), "expired"),
    "not yet valid": (lambda folder, said: signed_by(folder, said, NotBefore=600), "not_yet"),
    "wrong key": (lambda folder, said: signed_by(folder, said, "stranger"), "signature"),
    "unsigned": (lambda _folder, said: without_signatures(said), "signature"),
    "altered": (lambda _folder, said: said.replace(b"Hospital A", b"Hospital B"), "signature"),
    "wrapped: another before it": (lambda _folder, said: before_it(said), "malformed"),
    "wrapped: another around it": (lambda _folder, said: around_it(said), "malformed"),
    "wrapped: in the signature of another": (lambda _folder, said: in_its_signature(said), "malformed"),
    "comment in the name": (lambda _folder, said: said.replace(b">alice<", b">al<!-- -->ice<"), "malformed"),
    "truncated": (lambda _folder, said: said[:-30], "malformed"),
    "wrong issuer": (
        lambda _folder, said: said.replace(b"/idp</saml:Issuer>", b"/other</saml:Issuer>"),
        "unknown_issuer",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_assertion_is_refused_at_both_doors(provider, gateway, folder, image, case):
    make, reason = BAD[case]
    makers.NOW_S = int(time.time())
    document = make(folder, response(provider))
    for answer in (exchanged(gateway, document), posted(gateway, document)):
        assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert not over_dimse(gateway, folder, document, image)


def test_an_assertion_for_another_service_is_refused_at_both_doors(provider, gateway, folder, image):
    document = response(provider, audience="urn:other")
    answer = exchanged(gateway, document)
    assert (answer.status_code, answer.json()["reason"]) == (401, "audience")
    assert not over_dimse(gateway, folder, document, image)


def test_what_is_too_long_is_refused(provider, gateway):
    answer = exchanged(gateway, response(provider) + b" " * 65_000)
    assert (answer.status_code, answer.json()["reason"]) == (401, "too_long")


def test_a_response_is_posted_where_it_was_meant_to_go(provider, gateway):
    gateway._settings["DGIS__WEB__URL"] = "https://other.example"
    gateway.restart()
    answer = posted(gateway, response(provider))
    assert (answer.status_code, answer.json()["reason"]) == (401, "audience")
