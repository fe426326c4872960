"""Accounts of this site: a name, a hashed passcode (argon2id, RFC 9106), and what it proves."""

from dataclasses import dataclass, field
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from catalog.callers import ALL_RIGHTS, Assertions, Right
from catalog.credentials.values import Judgement, Reason, Rejected, Verified

LONGEST_PASSCODE_BYTES = 1024
_MOST_FAILURES = 5
_REST_SECONDS = 60
_HASHER = PasswordHasher()


@cache
def _nobody() -> str:
    """Return what is verified in place of an account that is not there, so that both take the same time.

    It takes a quarter of a second and 64 MB, which a process that is never asked does without.
    """
    return _HASHER.hash("nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `failures` in a row, the last at `failed_s` (epoch seconds), make it rest.

    A passcode that is good for `one_time` serves to choose another one, and for nothing else.
    """

    name: str
    passcode_hash: str = field(repr=False)
    assertions: Assertions
    may: frozenset[Right] = ALL_RIGHTS
    failures: int = 0
    failed_s: int = 0
    one_time: bool = False

    def rests(self, now_s: int) -> bool:
        """Whether too many wrong passcodes came lately: each further one doubles the rest, up to an hour."""
        if self.failures < _MOST_FAILURES:
            return False
        rest = min(_REST_SECONDS << (self.failures - _MOST_FAILURES), 3600)
        return now_s < self.failed_s + rest


def hashed(passcode: str) -> str:
    """Return what to keep of a passcode.

    Raises:
        ValueError: it is empty or longer than LONGEST_PASSCODE_BYTES.
    """
    if not 0 < len(passcode.encode()) <= LONGEST_PASSCODE_BYTES:
        raise ValueError(f"a passcode has 1 to {LONGEST_PASSCODE_BYTES} bytes")
    return _HASHER.hash(passcode)


def verify_passcode(
    account: Account | None, passcode: bytes, now_s: int, *, changing: bool = False
) -> Judgement:
    """Compare a passcode with that of the account that was named, None where there is none of that name.

    `changing`: another passcode is chosen with it. Whoever calls this notes the outcome with the account: a
    wrong passcode counts, a right one clears.
    """
    if len(passcode) > LONGEST_PASSCODE_BYTES:
        return Rejected(Reason.TOO_LONG)
    rests = account is not None and account.rests(now_s)
    nobody = _nobody()  # whoever asks first waits for it, whatever account is named
    # An account that rests takes the time of any other answer, or that would tell that there is one.
    expected = nobody if account is None or rests else account.passcode_hash
    try:
        _HASHER.verify(expected, passcode)
        fits = True
    except (VerificationError, InvalidHashError):
        fits = False
    if rests:
        return Rejected(Reason.LOCKED)
    if account is None or not fits:
        return Rejected(Reason.UNKNOWN_ACCOUNT)
    if account.one_time and not changing:
        return Rejected(Reason.ONE_TIME)
    return Verified(account.name, account.assertions, account.may)
