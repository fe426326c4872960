"""Every kind of credential, good and bad, and what becomes of it at any door."""

import uuid

from tests.unit.catalog.credentials import makers

PASSCODE = "crab key"


def fresh_name():
    """An ID that no assertion had before: each may be used once."""
    return f"_{uuid.uuid4().hex}"


def expired(seconds=-61):
    return {"exp": makers.NOW_S + seconds, "nbf": makers.NOW_S - 3600, "iat": makers.NOW_S - 3600}


# kind of credential, how it is made, the beginning of the reason (None: it is admitted)
MATRIX = {
    "jwt good": ("jwt", makers.token, None),
    "jwt of 60 kB": ("jwt", lambda: makers.token(further="x" * 44_000), None),
    "jwt with an endless name": (
        "jwt",
        lambda: makers.token(sub="x" * 30_000),
        "it states longer values, or more of them",
    ),
    "jwt expired": ("jwt", lambda: makers.token(**expired()), "it has expired"),
    "jwt not yet valid": ("jwt", lambda: makers.token(nbf=makers.NOW_S + 600), "it is not valid yet"),
    "jwt wrong audience": ("jwt", lambda: makers.token(aud="urn:other"), "it was issued for somebody else"),
    "jwt wrong issuer": ("jwt", lambda: makers.token(iss="https://evil.example"), "nobody trusts its issuer"),
    "jwt wrong key": (
        "jwt",
        lambda: makers.token(makers.OTHER_KEY, {"kid": "k1"}),
        "its signature does not fit",
    ),
    "jwt unsigned": ("jwt", makers.unsigned, "it is not signed with an algorithm"),
    "jwt HS256 with the public key": (
        "jwt",
        makers.signed_with_the_public_key,
        "it is not signed with an algorithm",
    ),
    "jwt truncated": ("jwt", lambda: makers.token()[:-20], "its signature does not fit"),
    "saml good": ("saml", lambda: makers.assertion(name=fresh_name()), None),
    "saml expired": ("saml", lambda: makers.assertion(end=-61), "it has expired"),
    "saml not yet valid": ("saml", lambda: makers.assertion(begin=600), "it is not valid yet"),
    "saml wrong audience": (
        "saml",
        lambda: makers.assertion(audience="urn:other"),
        "it was issued for somebody else",
    ),
    "saml wrong issuer": (
        "saml",
        lambda: makers.assertion(issuer="https://evil.example"),
        "nobody trusts its issuer",
    ),
    "saml wrong key": ("saml", lambda: makers.assertion(makers.STRANGER), "its signature does not fit"),
    "saml unsigned": ("saml", lambda: makers.assertion_xml().encode(), "its signature does not fit"),
    "saml altered": (
        "saml",
        lambda: makers.assertion().replace(b"Hospital A", b"Hospital B"),
        "its signature does not fit",
    ),
    "saml wrapped": ("saml", makers.wrapped, "the credential cannot be read"),
    "saml wrapped in the signature": ("saml", makers.in_the_signature, "the credential cannot be read"),
    "saml beside another": ("saml", makers.beside, "the credential cannot be read"),
    "saml with its signature elsewhere": ("saml", makers.signature_moved, "its signature does not fit"),
    "saml of 60 kB": (
        "saml",
        lambda: makers.assertion(name=fresh_name(), user="dr-no" + " " * 57_000),
        None,
    ),
    "saml truncated": ("saml", lambda: makers.assertion()[:-20], "the credential cannot be read"),
    "kerberos": ("kerberos", lambda: b"no ticket", "nobody here verifies credentials of this kind"),
    "passcode good": ("passcode", lambda: ("dr-no", PASSCODE), None),
    "passcode wrong": ("passcode", lambda: ("dr-no", "wrong"), "no account has this name and passcode"),
    "passcode of nobody": ("passcode", lambda: ("nobody", PASSCODE), "no account has this name and passcode"),
}

# what no user identity item can hold (PS3.7 D.3.3.7), so that only HTTP sees it
LONGER = {
    "jwt too long": ("jwt", lambda: makers.token(further="x" * 50_000), "the credential is longer"),
    "saml too long": ("saml", lambda: makers.assertion() + b" " * 65_000, "the credential is longer"),
}
