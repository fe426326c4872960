"""SAML 2.0 assertions, as IHE XUA (ITI-40) carries them: DICOM user identity type 4, and logins over HTTP."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate, InvalidInput, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from catalog.credentials.issuers import AssertionIssuer, vouched
from catalog.credentials.values import LONGEST_BYTES, SKEW_SECONDS, Judgement, Reason, Rejected

_SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
_NAMES = {"saml": _SAML}
_ASSERTION = f"{{{_SAML}}}Assertion"
_ENCRYPTED = f"{{{_SAML}}}EncryptedAssertion"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
NAME_ID = "NameID"
"""The name under which the subject's NameID is stated, beside the attributes."""

# Neither HMAC (whoever verifies could sign) nor SHA-1.
_SIGNING = SignatureConfiguration(
    location="./",  # a child of the assertion: it signs the element it stands in, or nothing
    expect_references=1,
    signature_methods=frozenset(
        method for method in SignatureMethod if re.fullmatch(r"(RSA|ECDSA)_SHA(256|384|512)", method.name)
    ),
    digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}),
)


class _Unreadable(Exception):  # noqa: N818 (a refusal on its way out)
    """A document that is no single plain assertion; the reason says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Moments:
    """When an assertion holds: epoch seconds, None where it does not say."""

    first: int | None
    last: int | None


def verify_assertion(
    document: bytes,
    issuers: Mapping[str, AssertionIssuer],
    now_s: int,
    addresses: Collection[str] = (),
    posted_to: str | None = None,
) -> Judgement:
    """Verify an assertion, alone or in a response, by the pinned certificates of its issuer.

    Everything is read from what the signature covers, never from the document around it.

    Args:
        document: XML as presented.
        issuers: by their URI (entity ID), compared letter by letter.
        now_s: epoch seconds.
        addresses: what is ours: a Recipient that names anything else makes it somebody else's (core 2.4.1.2).
        posted_to: the URL it was posted to, which it must name (profiles 4.1.4.3); None where it came another
            way, as ITI-40 has it: then it need name none.
    """
    if len(document) > LONGEST_BYTES:
        return Rejected(Reason.TOO_LONG)
    try:
        claimed = _single_assertion(document)
        issuer = issuers.get(_text(claimed, "saml:Issuer"))
        if issuer is None:
            return Rejected(Reason.UNKNOWN_ISSUER)
        signed = _signed(claimed, issuer, now_s)
        if not _is_for_us(signed, addresses, posted_to):
            return Rejected(Reason.AUDIENCE)
        return _judge(signed, issuer, now_s)
    except _Unreadable as unreadable:
        return Rejected(unreadable.reason)


def _single_assertion(document: bytes) -> etree._Element:
    # Entities and document types are refused before anything is expanded; comments and processing
    # instructions because readers disagree on the text around them (a NameID cut in two).
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=False
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise _Unreadable(Reason.MALFORMED) from None
    plain = root.getroottree().docinfo.internalDTD is None and all(
        isinstance(one.tag, str) for one in root.iter()
    )
    found: list[etree._Element] = list(root.iter(_ASSERTION))
    if not plain or len(found) != 1 or next(root.iter(_ENCRYPTED), None) is not None:
        raise _Unreadable(Reason.MALFORMED)
    return found[0]


def _signed(claimed: etree._Element, issuer: AssertionIssuer, now_s: int) -> etree._Element:
    """Return the assertion as its signature covers it, parsed anew from the bytes that were digested."""
    alone = etree.fromstring(etree.tostring(claimed, with_tail=False))
    rule = replace(_SIGNING, verification_time=datetime.fromtimestamp(now_s, UTC))
    for certificate in issuer.certificates:
        try:
            result = XMLVerifier().verify(
                alone, x509_cert=certificate, id_attribute="ID", expect_config=rule, validate_schema=False
            )
        except (InvalidSignature, InvalidInput, InvalidCertificate, ValueError):
            continue
        signed = None if isinstance(result, list) else result.signed_xml
        if signed is not None and signed.tag == _ASSERTION and signed.get("ID") == alone.get("ID"):
            return signed
    raise _Unreadable(Reason.SIGNATURE)


def _judge(signed: etree._Element, issuer: AssertionIssuer, now_s: int) -> Judgement:
    conditions = signed.find("saml:Conditions", _NAMES)
    if conditions is None or not signed.get("ID"):
        return Rejected(Reason.INCOMPLETE)
    if _text(signed, "saml:Issuer") != issuer.issuer.uri:
        return Rejected(Reason.UNKNOWN_ISSUER)
    moments = [_moments(conditions), *map(_moments, _confirmations(signed))]
    sessions = signed.findall("saml:AuthnStatement", _NAMES)
    ends = [moment for each in sessions if (moment := _moment(each.get("SessionNotOnOrAfter"))) is not None]
    if len(moments) == 1 or moments[0].last is None or not sessions:
        return Rejected(Reason.INCOMPLETE)  # no bearer confirmed, no end, or nobody who logged in
    if any(each.first is not None and each.first > now_s + SKEW_SECONDS for each in moments):
        return Rejected(Reason.NOT_YET)
    last = min([each.last for each in moments if each.last is not None] + ends)
    if last <= now_s - SKEW_SECONDS:
        return Rejected(Reason.EXPIRED)
    audiences = [
        {_written(each) for each in restriction.findall("saml:Audience", _NAMES)}
        for restriction in conditions.findall("saml:AudienceRestriction", _NAMES)
    ]
    if not audiences or any(audience.isdisjoint(issuer.issuer.audiences) for audience in audiences):
        return Rejected(Reason.AUDIENCE)
    return vouched(issuer.issuer, _stated(signed), last * 1000, once=signed.get("ID"))


def _confirmations(signed: etree._Element) -> Iterable[etree._Element]:
    for confirmation in signed.findall("saml:Subject/saml:SubjectConfirmation", _NAMES):
        if confirmation.get("Method") == _BEARER:
            data = confirmation.find("saml:SubjectConfirmationData", _NAMES)
            yield confirmation if data is None else data


def _is_for_us(signed: etree._Element, addresses: Collection[str], posted_to: str | None) -> bool:
    named = [each.get("Recipient") for each in _confirmations(signed)]
    if posted_to is not None:
        return all(each == posted_to for each in named)
    return all(each is None or each in addresses for each in named)


def _stated(signed: etree._Element) -> Mapping[str, list[str]]:
    stated = {NAME_ID: [_text(signed, "saml:Subject/saml:NameID")]}
    for attribute in signed.findall("saml:AttributeStatement/saml:Attribute", _NAMES):
        values = [_written(value) for value in attribute.findall("saml:AttributeValue", _NAMES)]
        stated.setdefault(attribute.get("Name") or "", []).extend(values)
    return stated


def _text(parent: etree._Element, path: str) -> str:
    found = parent.find(path, _NAMES)
    return "" if found is None else _written(found)


def _written(element: etree._Element) -> str:
    """Return the text of an element; XUA codes a role as an HL7 element, whose code is what counts."""
    if len(element):
        return (element[0].get("code") or "").strip()
    return (element.text or "").strip()


def _moments(element: etree._Element) -> _Moments:
    return _Moments(_moment(element.get("NotBefore")), _moment(element.get("NotOnOrAfter")))


def _moment(text: str | None) -> int | None:
    """Return an instant (xs:dateTime in UTC, as SAML core 1.3.3 wants it) in epoch seconds."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise _Unreadable(Reason.MALFORMED) from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())
