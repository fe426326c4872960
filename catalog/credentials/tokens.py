"""JSON Web Tokens (RFC 7519) of OIDC providers and of this grid: DICOM user identity type 5, HTTP bearer."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import Key, KeySet

from catalog.credentials.issuers import KeysAway, TokenIssuer, vouched
from catalog.credentials.values import LONGEST_BYTES, SKEW_SECONDS, Judgement, Reason, Rejected

_KINDS_OF_TOKEN = frozenset(
    {"jwt", "at+jwt", "application/at+jwt"}
)  # RFC 8725 3.11; ID tokens say JWT or nothing


def verify_token(
    token: bytes, issuers: Mapping[str, TokenIssuer], now_s: int, proven_key: str | None = None
) -> Judgement:
    """Verify a token in compact form by what is known of its issuer; what its header proposes is not heeded.

    Args:
        token: as presented.
        issuers: by their URI, compared letter by letter.
        now_s: epoch seconds.
        proven_key: thumbprint (RFC 7638) of the key that whoever presents it was seen to have; a token that
            is bound to a key (`cnf`, RFC 7800) is no bearer token.
    """
    if len(token) > LONGEST_BYTES:
        return Rejected(Reason.TOO_LONG)
    try:
        header, claimed = _read(token)
    except (JoseError, ValueError, RecursionError):
        return Rejected(Reason.MALFORMED)
    issuer = issuers.get(str(claimed.get("iss")))
    if issuer is None:
        return Rejected(Reason.UNKNOWN_ISSUER)
    if header.get("alg") not in issuer.algorithms:
        return Rejected(Reason.ALGORITHM)
    if str(header.get("typ", "jwt")).lower() not in _KINDS_OF_TOKEN:
        return Rejected(Reason.MALFORMED)
    claims = _signed(token, str(header.get("kid") or ""), issuer)
    if isinstance(claims, Rejected):
        return claims
    reason = _unfit(claims, issuer, now_s)
    if reason is not None:
        return Rejected(reason)
    if "cnf" in claims and (proven_key is None or claims["cnf"] != {"jkt": proven_key}):
        return Rejected(Reason.UNBOUND)
    names = [*issuer.issuer.names.values(), *filter(None, [issuer.issuer.ceiling])]
    stated = {name: list(_values(claims, name)) for name in names}
    return vouched(issuer.issuer, stated, int(claims["exp"]) * 1000)


def _read(token: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims unverified: they only say whose keys to verify with."""
    compact = jws.extract_compact(token)
    if compact.payload is None:
        raise ValueError("no payload")
    claims = json.loads(compact.payload)
    if not isinstance(claims, dict):
        raise ValueError("no claims")  # noqa: TRY004 (one kind for the caller)
    return compact.headers(), claims


def _signed(token: bytes, kid: str, issuer: TokenIssuer) -> dict[str, Any] | Rejected:
    """Return the claims that a key of the issuer has signed; a key that is missing may be a new one."""
    for fresh in (False, True):
        try:
            key = _key(issuer.keys.keys(fresh=fresh), kid)
        except KeysAway:
            return Rejected(Reason.KEYS_AWAY)
        if key is None:
            continue
        try:
            return jwt.decode(token, key, algorithms=sorted(issuer.algorithms)).claims
        except (JoseError, ValueError):
            return Rejected(Reason.SIGNATURE)
    return Rejected(Reason.SIGNATURE)


def _key(keys: KeySet, kid: str) -> Key | None:
    if not kid:
        return keys.keys[0] if len(keys.keys) == 1 else None
    return next((key for key in keys.keys if key.kid == kid), None)


def _unfit(claims: dict[str, Any], issuer: TokenIssuer, now_s: int) -> Reason | None:
    registry = jwt.JWTClaimsRegistry(
        now=now_s,
        leeway=SKEW_SECONDS,
        iss={"essential": True, "value": issuer.issuer.uri},
        aud={"essential": True, "values": sorted(issuer.issuer.audiences)},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        return Reason.EXPIRED
    except MissingClaimError:
        return Reason.INCOMPLETE
    except InvalidClaimError as error:
        return {"aud": Reason.AUDIENCE, "nbf": Reason.NOT_YET, "iat": Reason.NOT_YET}.get(
            error.claim, Reason.INCOMPLETE
        )
    return None


def _values(claims: Mapping[str, Any], path: str) -> Iterable[str]:
    """Yield the texts of a claim; `realm_access.roles` steps into an object where no claim is called so."""
    found: Any = claims
    for step in (path,) if path in claims else path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    many = found if isinstance(found, list) else [found]
    return (value for value in many if isinstance(value, str))
