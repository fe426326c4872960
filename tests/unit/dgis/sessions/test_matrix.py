"""Every way to say who one is, side by side: what is proven, and what it is good for beside that."""

import pytest

from catalog.callers import SHARED, Right
from catalog.credentials import opaque, shares
from catalog.credentials.opaque import Wanted
from catalog.grants import What
from tests.unit.catalog.credentials.makers import IDP, token
from tests.unit.dgis.sessions.conftest import GATEWAY, NAME, OURS, PASSCODE, made
from tests.unit.dgis.sessions.provider import Idp


def bearer(secret):
    return {"headers": {"Authorization": f"Bearer {secret}", **OURS}}


def by_account(door):
    return {"cookies": dict(door.sign_in().cookies), "headers": OURS}


def by_provider(door):
    cookies, idp = door.ask("GET", "/login/with/0"), door.idp
    answer = idp.log_in(cookies.headers["location"], "dr-no")
    entered = door.ask("GET", "/login/callback", params=answer, cookies=dict(cookies.cookies))
    kept = {name: value for name, value in entered.cookies.items() if name == "dgis-session"}
    return {"cookies": kept, "headers": OURS}


def api_token(door):
    with door.engine.begin() as connection:
        wanted = Wanted(NAME, "", frozenset({Right.FIND}), 1)
        return opaque.add(connection, wanted, door.clock())[1]


def share_token(door):
    wanted = shares.Wanted(What(patient_key="p"), frozenset({Right.FIND}), door.clock() + 1000, "")
    share, _grant = shares.prepared(wanted, "somebody", door.clock())
    with door.engine.begin() as connection:
        return shares.add(connection, share)


def by_share(door):
    entered = door.ask("POST", "/share", data={"token": share_token(door)}, headers=OURS)
    assert entered.status_code == 303
    return {"cookies": dict(entered.cookies), "headers": OURS}


# how it is presented; who vouches; the rights; whether it makes tokens; whether it counts in clear from afar
MATRIX = {
    "passcode": (
        lambda _door: {"auth": (NAME, PASSCODE), "headers": OURS},
        GATEWAY,
        ["find", "phi"],
        True,
        False,
    ),
    "session by account": (by_account, GATEWAY, ["find", "phi"], True, None),
    "API token": (lambda door: bearer(api_token(door)), GATEWAY, ["find"], False, False),
    "JWT": (lambda _door: bearer(token().decode()), IDP, None, False, True),
    "session by provider": (by_provider, IDP, None, False, None),
    "share token": (lambda door: bearer(share_token(door)), SHARED, ["find"], False, False),
    "session by share": (by_share, SHARED, ["find"], False, None),
}


@pytest.fixture
def door(engine, clock):
    idp = Idp(clock)
    door = made(engine, clock, providers=[idp.provider()])
    door.idp = idp
    return door


@pytest.mark.parametrize("case", MATRIX)
def test_each_proves_what_it_should_and_is_good_for_no_more(door, case):
    present, issuer, may, makes_tokens, in_clear = MATRIX[case]
    given = present(door)
    known = door.caller(**given).json()
    assert known["assertions"]["issuer"] == [issuer]
    assert may is None or known["may"] == may
    asked = door.ask("POST", "/api/tokens", json={"may": ["find"]}, **given)
    assert asked.status_code == (201 if makes_tokens else 403)
    if in_clear is not None:  # of a session its cookie decides, which is given over TLS or on this machine
        assert (door.caller(client="192.0.2.1", **given).status_code == 200) is in_clear


def test_one_person_is_the_same_by_either_way_of_a_provider(door):
    """The claims decide alike: the same assertions, so the same decision everywhere."""
    session = door.caller(**by_provider(door)).json()
    plain = token(groups=None, realm=None).decode()
    assert session == door.caller(**bearer(plain)).json()


@pytest.mark.parametrize("text", ["dgis_share_", "dgis_share_" + "x" * 43, "dgis_" + "x" * 43, "x", ""])
def test_what_is_no_share_opens_no_session(door, text):
    refused = door.ask("POST", "/share", data={"token": text}, headers=OURS)
    assert (refused.status_code, "dgis-session" in refused.cookies) == (401, False)
    assert "x" * 43 not in refused.text


def test_a_session_ends_with_its_share(door):
    given = by_share(door)
    assert door.caller(**given).status_code == 200
    with door.engine.begin() as connection:
        (share,) = shares.every(connection)
        assert shares.withdraw(connection, share.id, door.clock())
    assert door.caller(**given).json()["reason"] == "unknown_token"


def test_a_share_is_taken_from_pages_of_ours_alone(door):
    data = {"token": share_token(door)}
    assert door.ask("POST", "/share", data=data).json()["reason"] == "cross_site"
    assert door.ask("GET", "/share").status_code == 200
