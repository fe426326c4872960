from dataclasses import replace

import pytest
import sqlalchemy as sa
from joserfc.jwk import KeySet

from catalog.callers import Assertions, Right
from catalog.credentials import accounts
from catalog.credentials.passcodes import Account, hashed
from catalog.credentials.spent import forget_expired
from catalog.credentials.values import Reason, Rejected
from catalog.tables import metadata, spent_credential
from dgis.configuration import Peer
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Admitted, Attempt
from dgis.identity.authenticate import Authenticator, Stranger, Trust
from dgis.identity.issuers import Issuers
from tests.unit.catalog.credentials.makers import (
    IDP,
    KEY,
    NOW_S,
    Keys,
    assertion,
    assertion_issuer,
    token,
    token_issuer,
)
from tests.unit.dgis.identity.makers import client_certificate

NAME, PASSCODE, KERBEROS, SAML, JWT = range(1, 6)
CALL = Attempt("DGIS", "WS_1", "127.0.0.1", encrypted=True)
WS = Peer(ae_title="WS_*", may=frozenset({"find", "retrieve", "phi"}))
BOUND = Peer(ae_title="BOUND", may=frozenset({"find"}), certificate_names=("DNS:ws1.*",))
STRICT = Peer(ae_title="STRICT", may=frozenset({"find"}), requires=frozenset({"jwt", "saml"}))


HASH = hashed("crab key")


class Clock:
    now_s = NOW_S

    def __call__(self):
        return self.now_s * 1000


@pytest.fixture
def engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'identity.sqlite'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        said = Assertions(user="dr-no", institution="Hospital A")
        accounts.add(connection, Account("dr-no", HASH, said, frozenset({Right.FIND, Right.PHI})))
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def authenticator(engine, clock):
    issuers = Issuers({IDP: token_issuer()}, {IDP: assertion_issuer()})
    return Authenticator(Trust((BOUND, STRICT, WS), issuers, "gateway-1"), engine, clock)


def with_identity(kind, primary=b"", secondary=b"", **changed):
    return replace(CALL, identity=UserIdentity(kind, primary, secondary), **changed)


def test_a_peer_without_credential_asserts_what_its_entry_says(authenticator):
    known = authenticator.authenticate(CALL)
    assert isinstance(known, Admitted)
    known = known.caller
    assert (known.name, known.assertions.issuer) == ("WS_1", "gateway-1")


def test_a_name_alone_changes_nothing(authenticator):
    assert authenticator.authenticate(with_identity(NAME, b"dr-no")) == authenticator.authenticate(CALL)


@pytest.mark.parametrize(
    "attempt",
    [
        with_identity(JWT, token()),
        with_identity(SAML, assertion()),
        with_identity(PASSCODE, b"dr-no", b"crab key"),
    ],
    ids=["jwt", "saml", "passcode"],
)
def test_a_credential_says_who_calls_within_the_ceiling_of_the_peer(authenticator, attempt):
    known = authenticator.authenticate(attempt)
    assert isinstance(known, Admitted)
    known = known.caller
    assert (known.assertions.user, known.assertions.institution) == ("dr-no", "Hospital A")
    assert known.may <= {Right.FIND, Right.RETRIEVE, Right.PHI}


def test_an_account_is_a_ceiling_and_this_gateway_vouches_for_it(authenticator):
    known = authenticator.authenticate(with_identity(PASSCODE, b"dr-no", b"crab key"))
    assert isinstance(known, Admitted)
    known = known.caller
    assert known.may == {Right.FIND, Right.PHI}
    assert known.assertions.issuer == "gateway-1"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (with_identity(JWT, token(exp=NOW_S - 100)), Reason.EXPIRED),
        (with_identity(JWT, b""), Reason.MALFORMED),
        (with_identity(SAML, assertion(audience="urn:other")), Reason.AUDIENCE),
        (with_identity(SAML, token()), Reason.MALFORMED),
        (with_identity(JWT, assertion()), Reason.MALFORMED),
        (with_identity(PASSCODE, b"dr-no", b"wrong"), Reason.UNKNOWN_ACCOUNT),
        (with_identity(PASSCODE, b"nobody", b"crab key"), Reason.UNKNOWN_ACCOUNT),
        (with_identity(PASSCODE, b"\xff\xfe", b"crab key"), Reason.UNKNOWN_ACCOUNT),
        (with_identity(PASSCODE, b"dr-no", b"crab key", encrypted=False), Reason.NEEDS_TLS),
        (with_identity(KERBEROS, b"ticket"), Reason.UNSUPPORTED),
        (with_identity(0, b"x"), Reason.UNSUPPORTED),
        (with_identity(6, b"x"), Reason.UNSUPPORTED),
        (with_identity(255, b"x"), Reason.UNSUPPORTED),
    ],
)
def test_what_does_not_verify_is_refused_not_passed_over(authenticator, attempt, reason):
    assert authenticator.authenticate(attempt) == Rejected(reason)


def test_a_rehearsal_judges_alike_and_uses_nothing_up(authenticator, engine, clock):
    rehearsing = Authenticator(authenticator._trust, engine, clock, rehearsal=True)
    attempt = with_identity(SAML, assertion())
    admitted = rehearsing.authenticate(attempt)
    assert isinstance(admitted, Admitted)
    assert authenticator.authenticate(attempt) == admitted
    assert authenticator.authenticate(attempt) == Rejected(Reason.REPLAYED)
    assert rehearsing.authenticate(replace(CALL, calling_ae="X")) == authenticator.authenticate(
        replace(CALL, calling_ae="X")
    )


def test_an_assertion_is_used_once(authenticator, engine):
    attempt = with_identity(SAML, assertion())
    assert isinstance(authenticator.authenticate(attempt), Admitted)
    assert authenticator.authenticate(attempt) == Rejected(Reason.REPLAYED)
    with engine.begin() as connection:
        assert forget_expired(connection, (NOW_S + 300) * 1000) == 0
        assert forget_expired(connection, (NOW_S + 3600) * 1000) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(spent_credential)) == 0


def test_an_account_rests_and_comes_back(authenticator, clock):
    wrong, right = with_identity(PASSCODE, b"dr-no", b"x"), with_identity(PASSCODE, b"dr-no", b"crab key")
    for _ in range(5):
        assert authenticator.authenticate(wrong) == Rejected(Reason.UNKNOWN_ACCOUNT)
    assert authenticator.authenticate(right) == Rejected(Reason.LOCKED)
    clock.now_s += 61
    assert isinstance(authenticator.authenticate(right), Admitted)
    assert authenticator.authenticate(wrong) == Rejected(Reason.UNKNOWN_ACCOUNT)  # counted from one again
    assert isinstance(authenticator.authenticate(right), Admitted)


def test_a_title_is_bound_to_a_certificate(authenticator):
    bound = replace(CALL, calling_ae="BOUND")
    assert isinstance(authenticator.authenticate(bound), Stranger)
    other = replace(bound, certificate=client_certificate("ws2.hospital.example"))
    assert isinstance(authenticator.authenticate(other), Stranger)
    own = replace(bound, certificate=client_certificate("ws1.hospital.example"))
    assert isinstance(authenticator.authenticate(own), Admitted)
    assert isinstance(authenticator.authenticate(replace(bound, certificate=b"no certificate")), Stranger)


def test_a_peer_that_must_present_a_credential_is_refused_without(authenticator):
    strict = replace(CALL, calling_ae="STRICT")
    assert isinstance(authenticator.authenticate(strict), Stranger)
    named = replace(strict, identity=UserIdentity(NAME, b"dr-no"))
    assert isinstance(authenticator.authenticate(named), Stranger)
    other = replace(strict, identity=UserIdentity(PASSCODE, b"dr-no", b"crab key"))
    assert isinstance(authenticator.authenticate(other), Stranger)
    proven = replace(strict, identity=UserIdentity(JWT, token()))
    assert isinstance(authenticator.authenticate(proven), Admitted)


def test_without_the_keys_of_the_issuer_nobody_comes_in(engine, clock):
    issuers = Issuers({IDP: token_issuer(Keys(KeySet([KEY]), away=True))})
    away = Authenticator(Trust((WS,), issuers, "g"), engine, clock)
    assert away.authenticate(with_identity(JWT, token())) == Rejected(Reason.KEYS_AWAY)


def test_a_database_that_cannot_note_a_use_lets_nobody_in(authenticator, engine):
    spent_credential.drop(engine)
    with pytest.raises(sa.exc.SQLAlchemyError):
        authenticator.authenticate(with_identity(SAML, assertion()))
