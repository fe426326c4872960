"""Issuers of the tests: keys, certificates, tokens and assertions, good ones and every bad kind."""

import base64
import copy
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.signer import XMLSigner

from catalog.credentials.issuers import AssertionIssuer, Issuer, KeysAway, TokenIssuer

NOW_S = 1_790_000_000
IDP = "https://idp.hospital.example"
US = "urn:dgis:test"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"


@dataclass
class Keys:
    """A key source that counts how often it was asked anew."""

    current: KeySet
    rotated: KeySet | None = None
    away: bool = False
    asked_fresh: int = 0

    def keys(self, *, fresh):
        if self.away:
            raise KeysAway
        self.asked_fresh += fresh
        return self.rotated if fresh and self.rotated is not None else self.current


def rsa_key(kid):
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, private=True)


KEY, OTHER_KEY = rsa_key("k1"), rsa_key("k2")


def token_issuer(keys=None, **changed):
    names = {"user": "sub", "department": "groups", "institution": "tenant", "role": "realm.roles"}
    issuer = Issuer(IDP, frozenset({US}), names, **changed)
    return TokenIssuer(issuer, keys or Keys(KeySet([KEY])), frozenset({"RS256"}))


def claims(**changed):
    known = {
        "iss": IDP,
        "sub": "dr-no",
        "aud": US,
        "iat": NOW_S - 10,
        "nbf": NOW_S - 10,
        "exp": NOW_S + 300,
        "groups": ["Radiology", "Oncology"],
        "tenant": "Hospital A",
        "realm": {"roles": ["reader"]},
    }
    return {name: value for name, value in {**known, **changed}.items() if value is not None}


def token(key=KEY, header=None, **changed):
    return jwt.encode({"alg": "RS256", "kid": key.kid, **(header or {})}, claims(**changed), key).encode()


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def unsigned(**header):
    return b".".join((part({"alg": "none", **header}), part(claims()), b""))


def signed_with_the_public_key():
    """HS256 with the PEM of the public key as the secret: what a confused verifier would take."""
    said = part({"alg": "HS256", "kid": KEY.kid}) + b"." + part(claims())
    digest = hmac.digest(KEY.as_pem(private=False), said, "sha256")
    return said + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")


@dataclass
class Identity:
    """A certificate with its key."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def __post_init__(self):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        begin = datetime.fromtimestamp(NOW_S, UTC) - timedelta(days=1)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()


SIGNER, STRANGER = Identity(), Identity()


def assertion_issuer(**changed):
    names = {"user": "NameID", "institution": "urn:org", "role": "urn:role", "purpose": "urn:purpose"}
    return AssertionIssuer(Issuer(IDP, frozenset({US}), names, **changed), (SIGNER.pem,))


def moment(seconds):
    return datetime.fromtimestamp(NOW_S + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion_xml(
    *,
    name="_a1",
    begin=-10,
    end=300,
    audience=US,
    issuer=IDP,
    user="dr-no",
    confirmed_until=300,
    recipient=None,
):
    posted = "" if recipient is None else f' Recipient="{recipient}"'
    return f"""<saml:Assertion xmlns:saml="{SAML}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:hl7="urn:hl7-org:v3" ID="{name}" Version="2.0" IssueInstant="{moment(-10)}">
<saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID>{user}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData NotOnOrAfter="{moment(confirmed_until)}"{posted}/>
</saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{moment(begin)}" NotOnOrAfter="{moment(end)}"><saml:AudienceRestriction>
<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{moment(-20)}"><saml:AuthnContext/></saml:AuthnStatement>
<saml:AttributeStatement><saml:Attribute Name="urn:org"><saml:AttributeValue>Hospital A</saml:AttributeValue>
</saml:Attribute><saml:Attribute Name="urn:role">
<saml:AttributeValue><hl7:Role code="reader"/></saml:AttributeValue>
<saml:AttributeValue>teacher</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"""


def signed(xml, identity=SIGNER, method=SignatureMethod.RSA_SHA256):
    root = etree.fromstring(xml)
    name = root.get("ID")
    signer = XMLSigner(signature_algorithm=method, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    return signer.sign(
        root, key=identity.key, cert=[identity.certificate], reference_uri=name, id_attribute="ID"
    )


def assertion(identity=SIGNER, method=SignatureMethod.RSA_SHA256, **changed):
    return etree.tostring(signed(assertion_xml(**changed), identity, method))


PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"


def in_response(document):
    return b"<p:Response xmlns:p='%s'>%s</p:Response>" % (PROTOCOL.encode(), document)


def wrapped():
    """The signed assertion hidden inside one that says something else (signature wrapping)."""
    good = signed(assertion_xml())
    evil = etree.fromstring(assertion_xml(user="the-boss"))
    evil.set("ID", "_evil")
    holder = etree.SubElement(evil, f"{{{SAML}}}Advice")
    holder.append(copy.deepcopy(good))
    signature = good.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    evil.append(copy.deepcopy(signature))
    return etree.tostring(evil)


def beside():
    good = etree.tostring(signed(assertion_xml()))
    return in_response(assertion_xml(user="the-boss").encode() + good)


def signature_moved():
    """The signature lies deeper, where it does not stand for the assertion around it."""
    root = signed(assertion_xml())
    signature = root.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    root.find(f"{{{SAML}}}Subject").append(signature)
    return etree.tostring(root)


def in_the_signature():
    """The signed assertion lies in the signature of one that says something else."""
    good = signed(assertion_xml())
    evil = etree.fromstring(assertion_xml(user="the-boss"))
    signature = copy.deepcopy(good.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(good)
    evil.append(signature)
    return etree.tostring(evil)
