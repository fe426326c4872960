"""What `dgis doctor` says of storage commitments and notices that do not reach anybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dgis import database
from dgis.cache.sql import reading
from dgis.cli.machine import Finding
from dgis.commitment.waiting import Waiting, waiting
from dgis.configuration import Configuration
from dgis.parts import now_ms

_DAY_MS: Final = 86_400_000
_LATE_MS: Final = _DAY_MS
"""A destination that is switched off over night is back by then."""
_ADVICE: Final = "dgis commitment list and notices say why; is the destination up, and can it be reached?"


def look(configuration: Configuration) -> Iterator[Finding]:
    """Look whether reports and notices reach their destinations; nothing where there is no database yet."""
    url = database.database_url(configuration)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        return
    engine = database.open_engine(configuration)
    try:
        with reading(engine) as connection:
            said = waiting(connection)
    except sa.exc.SQLAlchemyError:
        return  # another look says that it does not answer
    finally:
        engine.dispose()
    at_ms = now_ms()
    answered_ms = round(configuration.commitment.wait_days * _DAY_MS) + _LATE_MS
    yield _late("storage commitments wait for an answer", said.judging, at_ms, answered_ms)
    yield _late("commitment reports wait for their destination", said.reporting, at_ms, _LATE_MS)
    yield _late("notices of availability wait for their destination", said.notices, at_ms, _LATE_MS)
    count = said.given_up.count
    advice = "dgis commitment list says why; dgis commitment retry sends one again"
    yield Finding(f"{count} commitment reports were given up", count == 0, advice)


def _late(words: str, each: Waiting, at_ms: int, late_ms: int) -> Finding:
    if each.since_ms is None:
        return Finding(f"no {words}", well=True)
    age_ms = max(at_ms - each.since_ms, 0)
    hours = age_ms // 3_600_000
    return Finding(f"{each.count} {words}, the oldest for {hours} hours", age_ms < late_ms, _ADVICE)
