import pytest
from lxml import etree
from signxml.algorithms import SignatureMethod

from catalog.credentials.saml import verify_assertion
from catalog.credentials.values import Reason, Rejected, Verified
from tests.unit.catalog.credentials.makers import (
    IDP,
    NOW_S,
    SAML,
    STRANGER,
    assertion,
    assertion_issuer,
    assertion_xml,
    beside,
    in_response,
    in_the_signature,
    signature_moved,
    signed,
    wrapped,
)

ISSUERS = {IDP: assertion_issuer()}


def altered(document, old, new):
    assert old in document
    return document.replace(old, new)


def unsigned():
    return assertion_xml().encode()


BAD = {
    "expired": (assertion(end=-61), Reason.EXPIRED),
    "subject confirmed until yesterday": (assertion(confirmed_until=-61), Reason.EXPIRED),
    "not yet valid": (assertion(begin=61), Reason.NOT_YET),
    "for somebody else": (assertion(audience="urn:other"), Reason.AUDIENCE),
    "issuer unknown": (assertion(issuer="https://evil.example"), Reason.UNKNOWN_ISSUER),
    "key of another": (assertion(STRANGER), Reason.SIGNATURE),
    "unsigned": (unsigned(), Reason.SIGNATURE),
    "attribute altered": (altered(assertion(), b"Hospital A", b"Hospital B"), Reason.SIGNATURE),
    "subject altered": (altered(assertion(), b"dr-no", b"dr-yes"), Reason.SIGNATURE),
    "signature moved": (signature_moved(), Reason.SIGNATURE),
    "wrapped": (wrapped(), Reason.MALFORMED),
    "wrapped in the signature": (in_the_signature(), Reason.MALFORMED),
    "another assertion beside it": (beside(), Reason.MALFORMED),
    "comment in the name": (altered(assertion(user="dr-no"), b"dr-no", b"dr-<!-- -->no"), Reason.MALFORMED),
    "document type": (b"<!DOCTYPE x [<!ENTITY e 'x'>]>" + assertion(), Reason.MALFORMED),
    "entity bomb": (
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>",
        Reason.MALFORMED,
    ),
    "truncated": (assertion()[:-40], Reason.MALFORMED),
    "no XML": (b"eyJhbGciOiJub25lIn0.e30.", Reason.MALFORMED),
    "empty": (b"", Reason.MALFORMED),
    "no assertion": (in_response(b""), Reason.MALFORMED),
    "encrypted": (in_response(b"<a:EncryptedAssertion xmlns:a='%s'/>" % SAML.encode()), Reason.MALFORMED),
    "too long": (assertion() + b" " * 65_536, Reason.TOO_LONG),
    "moment in words": (assertion_xml().replace('Z"', 'ZZ"').encode(), Reason.SIGNATURE),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_assertion_is_rejected_for_its_reason(name):
    presented, reason = BAD[name]
    assert verify_assertion(presented, ISSUERS, NOW_S) == Rejected(reason)


@pytest.mark.parametrize(
    "missing", ["saml:Conditions", "saml:AuthnStatement", "saml:Subject/saml:SubjectConfirmation"]
)
def test_what_must_be_stated_is_asked_for(missing):
    root = etree.fromstring(assertion_xml())
    found = root.find(missing, {"saml": SAML})
    found.getparent().remove(found)
    document = etree.tostring(signed(etree.tostring(root)))
    assert verify_assertion(document, ISSUERS, NOW_S) == Rejected(Reason.INCOMPLETE)


def test_an_assertion_for_no_audience_is_for_nobody():
    root = etree.fromstring(assertion_xml())
    found = root.find("saml:Conditions/saml:AudienceRestriction", {"saml": SAML})
    found.getparent().remove(found)
    document = etree.tostring(signed(etree.tostring(root)))
    assert verify_assertion(document, ISSUERS, NOW_S) == Rejected(Reason.AUDIENCE)


@pytest.mark.parametrize("method", [SignatureMethod.HMAC_SHA256, SignatureMethod.RSA_SHA1])
def test_neither_a_shared_secret_nor_a_broken_digest_signs(method):
    document = assertion().replace(SignatureMethod.RSA_SHA256.value.encode(), method.value.encode())
    assert verify_assertion(document, ISSUERS, NOW_S) == Rejected(Reason.SIGNATURE)


@pytest.mark.parametrize("document", [assertion(), in_response(assertion())], ids=["alone", "in a response"])
def test_a_good_assertion_proves_what_it_states(document):
    judged = verify_assertion(document, ISSUERS, NOW_S)
    assert isinstance(judged, Verified)
    assert (judged.name, judged.once, judged.until_ms) == ("dr-no", "_a1", (NOW_S + 300) * 1000)
    said = judged.assertions
    assert (said.issuer, said.institution) == (IDP, "Hospital A")
    assert said.values("role") == ("reader", "teacher")


def test_an_issuer_vouches_for_its_own_institutions_only():
    issuers = {IDP: assertion_issuer(institutions=frozenset({"Hospital B"}))}
    assert verify_assertion(assertion(), issuers, NOW_S) == Rejected(Reason.OVERREACH)


ACS = "https://grid.example/api/saml/acs"


def posted_to(recipient):
    return assertion(recipient=recipient)


def test_what_is_posted_to_a_url_is_meant_for_it():
    assert isinstance(verify_assertion(posted_to(ACS), ISSUERS, NOW_S, {ACS}, ACS), Verified)
    for document in (posted_to("https://other.example/acs"), assertion()):
        assert verify_assertion(document, ISSUERS, NOW_S, {ACS}, ACS) == Rejected(Reason.AUDIENCE)


@pytest.mark.parametrize(
    ("document", "addresses", "admitted"),
    [
        (posted_to(ACS), {ACS}, True),
        (posted_to(ACS), {"https://other.example/acs", ACS}, True),
        (posted_to(ACS), {"https://grid.example"}, False),
        (posted_to(ACS), (), False),
        (posted_to(""), {ACS}, False),
        (assertion(), {ACS}, True),
        (assertion(), (), True),
    ],
    ids=["ours", "one of ours", "its beginning", "nothing is ours", "empty", "none named", "none, nothing"],
)
def test_a_recipient_that_is_named_is_one_of_us_whatever_way_it_came(document, addresses, admitted):
    judged = verify_assertion(document, ISSUERS, NOW_S, addresses)
    assert isinstance(judged, Verified) if admitted else judged == Rejected(Reason.AUDIENCE)
