"""Chores of a door: what it writes down of its own work, and what it holds for its associations."""

import sqlalchemy as sa

from catalog import extract
from dgis.accounting import Accounts
from dgis.cache.index import CacheIndex
from dgis.cache.log import ReceiveLog
from dgis.cache.sql import reading
from dgis.commitment.desk import Desk
from dgis.erasure import intents
from dgis.retention.allowance import Allowance
from dgis.trail.recorder import Recorder
from dgis.worker import Chore, once

_ACCOUNTS_SECONDS = 1.0
_USED_SECONDS = 5.0
_ERASE_SECONDS = 1.0
_COUNT_SECONDS = 10.0


def measuring(allowance: Allowance) -> list[Chore]:
    """Return the chore of a door that counts what its facility has stored, where there is a quota."""
    return [Chore("quota", _COUNT_SECONDS, once(allowance.count))] if allowance.limited else []


def noting(engine: sa.Engine, accounts: Accounts, recorder: Recorder, index: CacheIndex) -> list[Chore]:
    """Return the chores of a door that write down what it counted, recorded, and which series were read."""
    return [
        Chore("accounts", _ACCOUNTS_SECONDS, once(accounts.write)),
        Chore("trail", _ACCOUNTS_SECONDS, once(recorder.write)),
        using(engine, index),
    ]


def using(engine: sa.Engine, index: CacheIndex) -> Chore:
    """Return the chore of a door that writes down which series were read, for the eviction to go by."""

    def write_used() -> None:
        with engine.begin() as connection:
            index.write_used(connection)

    return Chore("used", _USED_SECONDS, once(write_used))


def holding(desk: Desk, lease_seconds: int) -> Chore:
    """Return the chore of a door that keeps what its associations wait for from others."""
    return Chore("hold", lease_seconds / 4, once(desk.keep))


def retiring(engine: sa.Engine, log: ReceiveLog, gateway_id: str) -> list[Chore]:
    """Return the chore of a door that ends its segments for an erasure: old ones may be beneath them."""

    def retire() -> None:
        with reading(engine) as connection:
            until_ms = intents.retire_until_ms(connection, gateway_id)
        if until_ms is not None:
            log.retire(until_ms)
            extract.forget()

    return [Chore("retire", _ERASE_SECONDS, once(retire))]
