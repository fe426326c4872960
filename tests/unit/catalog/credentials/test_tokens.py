import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from catalog.callers import Right
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import Reason, Rejected, Verified
from tests.unit.catalog.credentials.makers import (
    IDP,
    KEY,
    NOW_S,
    OTHER_KEY,
    Keys,
    claims,
    part,
    signed_with_the_public_key,
    token,
    token_issuer,
    unsigned,
)

ISSUERS = {IDP: token_issuer()}
BAD = {
    "expired": (token(exp=NOW_S - 61), Reason.EXPIRED),
    "expired, a float": (token(exp=NOW_S - 61.5), Reason.EXPIRED),
    "never ends": (token(exp=None), Reason.INCOMPLETE),
    "ends in words": (token(exp="tomorrow"), Reason.INCOMPLETE),
    "not yet valid": (token(nbf=NOW_S + 61), Reason.NOT_YET),
    "issued in the future": (token(iat=NOW_S + 3600), Reason.NOT_YET),
    "for somebody else": (token(aud="urn:other"), Reason.AUDIENCE),
    "for nobody": (token(aud=None), Reason.INCOMPLETE),
    "of nobody": (token(sub=None), Reason.INCOMPLETE),
    "issuer unknown": (token(iss="https://evil.example"), Reason.UNKNOWN_ISSUER),
    "issuer missing": (token(iss=None), Reason.UNKNOWN_ISSUER),
    "issuer a list": (token(iss=[IDP]), Reason.UNKNOWN_ISSUER),
    "issuer with a slash": (token(iss=f"{IDP}/"), Reason.UNKNOWN_ISSUER),
    "key of another": (token(OTHER_KEY), Reason.SIGNATURE),
    "key of another, name of ours": (token(OTHER_KEY, {"kid": "k1"}), Reason.SIGNATURE),
    "brings its own key": (token(OTHER_KEY, {"jwk": {"kty": "oct", "k": "AA"}}), Reason.SIGNATURE),
    "names where its key is": (token(OTHER_KEY, {"jku": "https://evil.example/jwks"}), Reason.SIGNATURE),
    "unsigned": (unsigned(), Reason.ALGORITHM),
    "unsigned, in other letters": (unsigned(alg="NoNe"), Reason.ALGORITHM),
    "signed with the public key": (signed_with_the_public_key(), Reason.ALGORITHM),
    "a weaker algorithm": (
        jwt.encode({"alg": "RS384", "kid": "k1"}, claims(), KEY, algorithms=["RS384"]).encode(),
        Reason.ALGORITHM,
    ),
    "no algorithm": (b".".join((part({"kid": "k1"}), part(claims()), b"x")), Reason.MALFORMED),
    "another kind of token": (token(header={"typ": "logout+jwt"}), Reason.MALFORMED),
    "signature cut off": (token().rpartition(b".")[0] + b".", Reason.SIGNATURE),
    "truncated": (token()[:-40], Reason.SIGNATURE),
    "two parts": (b".".join(token().split(b".")[:2]), Reason.MALFORMED),
    "no token": (b"Bearer", Reason.MALFORMED),
    "empty": (b"", Reason.MALFORMED),
    "bytes": (bytes(range(256)), Reason.MALFORMED),
    "claims that are a list": (
        jws.serialize_compact({"alg": "RS256", "kid": "k1"}, b"[]", KEY).encode(),
        Reason.MALFORMED,
    ),
    "nested beyond reason": (
        b".".join((part({"alg": "RS256"}), b"W1tb" * 10_000, b"x")),
        Reason.MALFORMED,
    ),
    "too long": (token() + b"x" * 65_536, Reason.TOO_LONG),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_token_is_rejected_for_its_reason(name):
    presented, reason = BAD[name]
    assert verify_token(presented, ISSUERS, NOW_S) == Rejected(reason)


def test_a_critical_header_that_nobody_understands_is_no_token():
    presented = b".".join(
        (part({"alg": "RS256", "kid": "k1", "crit": ["exp"], "exp": 1}), *token().split(b".")[1:])
    )
    assert isinstance(verify_token(presented, ISSUERS, NOW_S), Rejected)


def test_a_good_token_proves_what_its_claims_state():
    judged = verify_token(token(), ISSUERS, NOW_S)
    assert isinstance(judged, Verified)
    assert (judged.name, judged.until_ms, judged.once) == ("dr-no", (NOW_S + 300) * 1000, None)
    said = judged.assertions
    assert (said.issuer, said.user, said.institution, said.role) == (IDP, "dr-no", "Hospital A", "reader")
    assert said.values("department") == ("Radiology", "Oncology")


def test_a_long_token_is_a_token():
    judged = verify_token(token(further="x" * 44_000), ISSUERS, NOW_S)
    assert isinstance(judged, Verified)


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "x" * 257},
        {"tenant": "x" * 257},
        {"groups": ["Radiology", "x" * 257]},
        {"sub": "dr-no\nnobody"},
        {"groups": [f"group {number}" for number in range(2_000)]},
    ],
    ids=["a name", "an institution", "a second department", "two lines", "thousands"],
)
def test_what_is_asserted_is_bounded(changed):
    assert verify_token(token(**changed), ISSUERS, NOW_S) == Rejected(Reason.EXCESSIVE)


def test_a_hundred_roles_are_taken():
    roles = [f"role {number}" for number in range(100)]
    judged = verify_token(token(realm={"roles": roles}, groups=["Radiology"]), ISSUERS, NOW_S)
    assert set(judged.assertions.values("role")) == set(roles)


@pytest.mark.parametrize("leeway", [-59, 59])
def test_clocks_may_differ_by_a_minute(leeway):
    assert isinstance(verify_token(token(exp=NOW_S - 30, nbf=NOW_S + 30), ISSUERS, NOW_S), Verified)
    assert isinstance(verify_token(token(), ISSUERS, NOW_S + leeway), Verified)


def test_a_key_that_is_not_known_yet_is_asked_for_once():
    keys = Keys(KeySet([KEY]), rotated=KeySet([KEY, OTHER_KEY]))
    assert isinstance(verify_token(token(OTHER_KEY), {IDP: token_issuer(keys)}, NOW_S), Verified)
    assert keys.asked_fresh == 1
    assert isinstance(verify_token(token(), {IDP: token_issuer(keys)}, NOW_S), Verified)
    assert keys.asked_fresh == 1


def test_without_keys_nobody_is_believed():
    assert verify_token(token(), {IDP: token_issuer(Keys(KeySet([]), away=True))}, NOW_S) == Rejected(
        Reason.KEYS_AWAY
    )


def test_an_issuer_vouches_for_its_own_institutions_only():
    issuers = {IDP: token_issuer(institutions=frozenset({"Hospital B"}))}
    assert verify_token(token(), issuers, NOW_S) == Rejected(Reason.OVERREACH)
    assert isinstance(verify_token(token(tenant="Hospital B"), issuers, NOW_S), Verified)


def test_an_issuer_has_a_ceiling():
    issuers = {IDP: token_issuer(may=frozenset({Right.FIND}))}
    judged = verify_token(token(), issuers, NOW_S)
    assert isinstance(judged, Verified)
    assert judged.may == {Right.FIND}


@pytest.mark.parametrize("algorithms", [{"HS256"}, {"none"}, {"RS256", "HS256"}, set()])
def test_an_issuer_signs_with_public_keys_only(algorithms):
    with pytest.raises(ValueError, match="sign"):
        type(token_issuer())(token_issuer().issuer, Keys(KeySet([KEY])), frozenset(algorithms))
