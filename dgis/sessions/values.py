"""What a session of a browser is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SessionKind(StrEnum):
    """How a session began; what is sealed in it differs by that."""

    LOGIN = "login"  # nobody yet: on the way to a provider and back
    ACCOUNT = "account"
    OIDC = "oidc"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class New:
    """A session to be opened. `owner` says whose it is, for ending all of somebody's; it lives `seconds`."""

    kind: SessionKind
    owner: str
    held: Mapping[str, str] = field(repr=False)
    seconds: int


@dataclass(frozen=True, slots=True)
class Found:
    """A session as a cookie opens it; times are epoch milliseconds."""

    digest: bytes = field(repr=False)
    kind: SessionKind
    owner: str
    held: Mapping[str, str] = field(repr=False)
    made_ms: int
    until_ms: int


def owner_of(issuer: str | None, user: str | None) -> str:
    """Return one text for a principal, by who vouches for it and how it is called there."""
    return f"{user or ''}\n{issuer or ''}"
