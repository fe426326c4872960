"""What somebody presents to say who they are, and what becomes of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from catalog.callers import ALL_RIGHTS, Assertions, Right

LONGEST_BYTES = 65_535
"""Of a credential: a field of the user identity item can hold no more (PS3.7 D.3.3.7)."""

SKEW_SECONDS = 60
"""How far the clocks of an issuer and of this site may differ."""


class Kind(StrEnum):
    """How a principal can prove who it is."""

    PASSCODE = "passcode"
    KERBEROS = "kerberos"
    SAML = "saml"
    JWT = "jwt"
    TOKEN = "token"  # noqa: S105 (a name)
    CERTIFICATE = "certificate"


class Reason(StrEnum):
    """Why a credential proves nothing; the value is what logs and people read, and holds nothing of it."""

    TOO_LONG = "the credential is longer than any of its kind"
    MALFORMED = "the credential cannot be read"
    UNKNOWN_ISSUER = "nobody trusts its issuer here"
    ALGORITHM = "it is not signed with an algorithm that its issuer is known to use"
    SIGNATURE = "its signature does not fit a key of its issuer"
    KEYS_AWAY = "the keys of its issuer cannot be had now"
    EXPIRED = "it has expired"
    NOT_YET = "it is not valid yet"
    AUDIENCE = "it was issued for somebody else"
    INCOMPLETE = "it does not state what such a credential must"
    EXCESSIVE = "it states longer values, or more of them, than are taken"
    OVERREACH = "its issuer vouches for an institution that is not its own"
    UNBOUND = "it counts only together with the key that it is bound to"
    REPLAYED = "it was used before, and may be used once"
    UNKNOWN_ACCOUNT = "no account has this name and passcode"
    UNKNOWN_TOKEN = "there is no such token, or it was withdrawn"  # noqa: S105 (words)
    ONE_TIME = "its passcode is for a first login at the page, where it is changed"
    NO_SESSION = "the session is over; log in again"
    STATE = "it answers no login that this browser began here"
    MIXED_UP = "another provider, or about somebody else, answered than was asked"
    NONCE = "it was made for another login"
    PROVIDER = "the provider let nobody in"
    NOT_EXCHANGED = "such a token can be withdrawn at once, so no other credential is made of it"
    LOCKED = "too many wrong passcodes; the account rests"
    NEEDS_TLS = "a passcode is taken over TLS only"
    IN_CLEAR = "a token of this site's own is taken over TLS only"
    UNSUPPORTED = "nobody here verifies credentials of this kind"


@dataclass(frozen=True, slots=True)
class Verified:
    """A principal and what was proven about it.

    `may` is a ceiling, as that of a configured peer; `until_ms` (epoch milliseconds) is when the proof ends.
    `once` identifies a credential that may be used a single time, None for all others; `response` is what
    whoever presented it expects back, if anything.
    """

    name: str
    assertions: Assertions
    may: frozenset[Right] = ALL_RIGHTS
    until_ms: int | None = None
    once: str | None = field(default=None, repr=False)
    response: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A credential that proves nothing, and why."""

    reason: Reason


Judgement = Verified | Rejected
