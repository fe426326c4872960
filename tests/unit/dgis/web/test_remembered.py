from dataclasses import replace

import pytest

from catalog.callers import Assertions
from catalog.credentials.values import Verified
from dgis.dimse.proposal import UserIdentity
from dgis.identity.requests import JWT, PASSCODE, Presented
from dgis.web.remembered import _MOST, REMEMBERED_SECONDS, Remembered

TOKEN = Presented("10.0.0.1", UserIdentity(JWT, b"a.b.c"), encrypted=True)
WHO = Verified("ann", Assertions(user="ann"), until_ms=2_000_000)


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def remembered(clock):
    return Remembered(clock, lambda: int(clock.seconds * 1000))


def test_a_token_is_known_for_some_seconds(remembered, clock):
    assert remembered.find(TOKEN) is None
    remembered.proven(TOKEN, WHO)
    assert remembered.find(TOKEN) is WHO
    clock.seconds += REMEMBERED_SECONDS
    assert remembered.find(TOKEN) is None


def test_no_longer_than_it_is_valid(remembered, clock):
    remembered.proven(TOKEN, replace(WHO, until_ms=1_001_000))
    clock.seconds += 1
    assert remembered.find(TOKEN) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(TOKEN, address="10.0.0.2"),
        replace(TOKEN, identity=UserIdentity(JWT, b"a.b.d")),
        replace(TOKEN, certificate=b"der"),
        replace(TOKEN, encrypted=False),
        replace(TOKEN, recipient="https://x"),
        replace(TOKEN, identity=None),
    ],
)
def test_nothing_else_is_taken_for_it(remembered, other):
    remembered.proven(TOKEN, WHO)
    assert remembered.find(other) is None


def test_passcodes_and_what_may_be_used_once_are_not_remembered(remembered):
    passcode = replace(TOKEN, identity=UserIdentity(PASSCODE, b"ann", b"secret"))
    remembered.proven(passcode, WHO)
    remembered.proven(TOKEN, replace(WHO, once="_1"))
    assert remembered.find(passcode) is None
    assert remembered.find(TOKEN) is None
    assert not remembered._known


def test_it_holds_so_many_and_none_of_what_was_presented(remembered):
    for number in range(_MOST + 10):
        remembered.proven(replace(TOKEN, identity=UserIdentity(JWT, b"%d" % number)), WHO)
    assert len(remembered._known) == _MOST
    assert all(len(name) == 32 for name in remembered._known)
