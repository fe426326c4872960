from dataclasses import replace

import pytest

from catalog.callers import Assertions
from catalog.credentials.passcodes import Account, hashed, verify_passcode
from catalog.credentials.values import Reason, Rejected, Verified

NOW_S = 1_790_000_000
ACCOUNT = Account("dr-no", hashed("crab key"), Assertions(user="dr-no", institution="Hospital A"))


def test_the_right_passcode_proves_the_account():
    judged = verify_passcode(ACCOUNT, b"crab key", NOW_S)
    assert judged == Verified("dr-no", ACCOUNT.assertions, ACCOUNT.may)


@pytest.mark.parametrize("passcode", [b"", b"crab", b"crab key ", "krabbe\u00e9".encode(), bytes(range(256))])
def test_any_other_does_not(passcode):
    assert verify_passcode(ACCOUNT, passcode, NOW_S) == Rejected(Reason.UNKNOWN_ACCOUNT)


def test_no_account_and_a_wrong_passcode_say_the_same():
    assert verify_passcode(None, b"crab key", NOW_S) == verify_passcode(ACCOUNT, b"x", NOW_S)
    assert verify_passcode(None, b"nobody", NOW_S) == Rejected(Reason.UNKNOWN_ACCOUNT)


def test_a_passcode_beyond_reason_is_not_hashed():
    assert verify_passcode(ACCOUNT, b"x" * 2000, NOW_S) == Rejected(Reason.TOO_LONG)


def test_an_account_rests_after_wrong_passcodes_longer_each_time():
    tired = replace(ACCOUNT, failures=5, failed_s=NOW_S)
    assert verify_passcode(tired, b"crab key", NOW_S + 59) == Rejected(Reason.LOCKED)
    assert isinstance(verify_passcode(tired, b"crab key", NOW_S + 60), Verified)
    exhausted = replace(tired, failures=40)
    assert verify_passcode(exhausted, b"crab key", NOW_S + 3599) == Rejected(Reason.LOCKED)
    assert isinstance(verify_passcode(exhausted, b"crab key", NOW_S + 3600), Verified)


def test_a_hash_that_is_damaged_proves_nothing():
    assert verify_passcode(replace(ACCOUNT, passcode_hash="$argon2id$"), b"crab key", NOW_S) == Rejected(
        Reason.UNKNOWN_ACCOUNT
    )


@pytest.mark.parametrize("passcode", ["", "x" * 1025])
def test_a_passcode_has_a_sensible_length(passcode):
    with pytest.raises(ValueError, match="passcode"):
        hashed(passcode)
