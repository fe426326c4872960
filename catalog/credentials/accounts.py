"""Where the accounts of this site are kept."""

import json
from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, delete, select, update

from catalog.callers import Assertions, Right
from catalog.credentials.passcodes import Account, hashed
from catalog.credentials.values import Judgement, Reason, Rejected
from catalog.sql import insert_ignoring
from catalog.tables import account, api_token


def add(connection: Connection, new: Account) -> bool:
    """Add an account; False where there is one of that name."""
    adding = insert_ignoring(connection, account).returning(account.c.name)
    return connection.execute(adding, _row(new)).first() is not None


def change_passcode(connection: Connection, name: str, passcode: str) -> bool:
    """Give an account another passcode, and let it rest no longer; False where there is none."""
    changed = update(account).where(account.c.name == name)
    values = {"passcode_hash": hashed(passcode), "failures": 0, "failed_s": 0, "one_time": False}
    return connection.execute(changed.values(**values)).rowcount == 1


def remove(connection: Connection, name: str) -> bool:
    """Remove an account with its tokens; False where there is none."""
    connection.execute(delete(api_token).where(api_token.c.account == name))
    return connection.execute(delete(account).where(account.c.name == name)).rowcount == 1


def every(connection: Connection) -> Iterator[Account]:
    """Yield the accounts by name."""
    return map(_account, connection.execute(select(account).order_by(account.c.name)).mappings())


def find(connection: Connection, name: str) -> Account | None:
    """Return the account of that name."""
    row = connection.execute(select(account).where(account.c.name == name)).mappings().first()
    return None if row is None else _account(row)


def note(connection: Connection, known: Account, judged: Judgement, now_s: int) -> None:
    """Count a wrong passcode, and forget those before a right one.

    Apart from verifying, which takes long on purpose and must hold no lock meanwhile.
    """
    noting = update(account).where(account.c.name == known.name)
    if judged == Rejected(Reason.UNKNOWN_ACCOUNT):
        connection.execute(noting.values(failures=account.c.failures + 1, failed_s=now_s))
    elif known.failures and not isinstance(judged, Rejected):
        connection.execute(noting.values(failures=0, failed_s=0))


def _row(one: Account) -> dict[str, object]:
    return {
        "name": one.name,
        "passcode_hash": one.passcode_hash,
        "assertions": one.assertions.canonical(),
        "may": json.dumps(sorted(right.value for right in one.may)),
        "failures": one.failures,
        "failed_s": one.failed_s,
        "one_time": one.one_time,
    }


def _account(row: RowMapping) -> Account:
    said = json.loads(row["assertions"])
    extra = tuple((name, value) for name, value in said.pop("extra", ()))
    return Account(
        name=row["name"],
        passcode_hash=row["passcode_hash"],
        assertions=Assertions(**said, extra=extra),
        may=frozenset(map(Right, json.loads(row["may"]))),
        failures=row["failures"],
        failed_s=row["failed_s"],
        one_time=row["one_time"],
    )
