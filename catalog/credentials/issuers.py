"""Whose signed statements are believed, and how far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from joserfc.jwk import KeySet

from catalog.callers import ALL_RIGHTS, MOST_PATTERNS, PATTERN_FIELDS, Assertions, Right, is_assertable
from catalog.credentials.values import Reason, Rejected, Verified

SIGNING_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""What may sign a token (RFC 7518 3.1, 8037, 9864): public keys only, so that no verifier can sign."""

_VOUCHED = "institution"


class KeysAway(Exception):  # noqa: N818 (an issuer that does not answer)
    """The keys of an issuer cannot be had; holds nothing of a credential."""


class KeySource(Protocol):
    """Where the public keys of an issuer come from: a file, or its JWKS (RFC 7517) over HTTP."""

    def keys(self, *, fresh: bool) -> KeySet:
        """Return the keys; `fresh` where a token names one that was not there, and a rotation is likely.

        Raises:
            KeysAway: there are none to be had now.
        """


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority: for whom it speaks, about what, and the most that its principals may.

    `names` says which claim or attribute states which assertion (`{"user": "sub"}`); a dot steps into an
    object. Names beyond the fields of `Assertions` become further attributes. `institutions` are those it
    may vouch for; None is any. `ceiling` is the claim that lists what its principal may at most, if it has
    such a claim. Who `relays` repeats what another issuer has vouched for, and names that one.
    """

    uri: str
    audiences: frozenset[str]
    names: Mapping[str, str]
    institutions: frozenset[str] | None = None
    may: frozenset[Right] = ALL_RIGHTS
    ceiling: str | None = None
    relays: bool = False


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """An issuer of signed JSON Web Tokens; its algorithms and keys count, whatever a token says."""

    issuer: Issuer
    keys: KeySource = field(repr=False)
    algorithms: frozenset[str] = frozenset({"RS256"})

    def __post_init__(self) -> None:
        unknown = self.algorithms - set(SIGNING_ALGORITHMS)
        if unknown or not self.algorithms:
            raise ValueError(f"{', '.join(sorted(unknown)) or 'no algorithm'} cannot sign for an issuer")


@dataclass(frozen=True, slots=True)
class AssertionIssuer:
    """An issuer of SAML 2.0 assertions, known by its certificates (PEM), pinned; no chain is followed."""

    issuer: Issuer
    certificates: tuple[str, ...]


Stated = Mapping[str, Iterable[str]]
"""Every value that a credential states, by the name it states it under."""


def vouched(issuer: Issuer, stated: Stated, until_ms: int, once: str | None = None) -> Verified | Rejected:
    """Return what an issuer's verified statement proves about its principal."""
    facts: dict[str, str] = {}
    extra: list[tuple[str, str]] = []
    for field_name, name in issuer.names.items():
        if field_name == "issuer" and not issuer.relays:
            continue
        values = [value for value in stated.get(name, ()) if value.strip()]
        if values and field_name in PATTERN_FIELDS:
            facts[field_name] = values.pop(0)
        extra += [(field_name, value) for value in values]
    if "user" not in facts:
        return Rejected(Reason.INCOMPLETE)
    assertions = Assertions(**{"issuer": issuer.uri, **facts}, extra=tuple(extra))
    if not _is_bounded(assertions):
        return Rejected(Reason.EXCESSIVE)
    if issuer.institutions is not None and not issuer.institutions.issuperset(assertions.values(_VOUCHED)):
        return Rejected(Reason.OVERREACH)
    may = issuer.may
    if issuer.ceiling is not None:
        may &= {right for right in Right if right.value in stated.get(issuer.ceiling, ())}
    return Verified(facts["user"], assertions, may, until_ms, once)


def _is_bounded(said: Assertions) -> bool:
    values = [value for name in PATTERN_FIELDS for value in said.values(name)]
    values += [value for _name, value in said.extra]
    return (
        len(said.extra) <= MOST_PATTERNS
        and all(map(is_assertable, values))
        and said.pattern_count <= MOST_PATTERNS
    )
