"""The first account of a site: an administrator whose passcode the gateway makes and shows once.

There is no default passcode. What is made serves one login, at which its owner chooses another.
"""

import secrets

from sqlalchemy import Connection, select

from catalog.callers import ALL_RIGHTS, Assertions, Right
from catalog.credentials import accounts
from catalog.credentials.passcodes import Account, hashed
from catalog.grants import Grant, What, Who, write_once
from catalog.tables import account

ADMINISTRATOR = "admin"

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
_GROUPS, _GROUP = 5, 5  # 31 ** 25: 123 bits
_GIVEN = frozenset({Right.ADMINISTER, Right.SHARE, Right.FIND, Right.RETRIEVE})


def make_first(connection: Connection, gateway: str, now_ms: int) -> str | None:
    """Make the administrator and return the passcode; None where there is any account.

    It is granted everything but originals: who sees those is decided by grants like for everybody. The
    caller's commit makes account and grant real together; the passcode is to be shown after it.
    """
    if connection.scalar(select(account.c.name).limit(1)) is not None:
        return None
    passcode = "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    said = Assertions(user=ADMINISTRATOR)
    new = Account(ADMINISTRATOR, hashed(passcode), said, ALL_RIGHTS, one_time=True)
    if not accounts.add(connection, new):
        return None  # somebody else has just made it
    grant = Grant(
        Who(issuer=gateway, user=ADMINISTRATOR),
        What(),
        _GIVEN,
        not_before_ms=now_ms,
        granted_by="the first start",
        reason="the first account administers this site",
        origin=f"first:{gateway}",
    )
    write_once(connection, [grant])
    return passcode
