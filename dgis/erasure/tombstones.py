"""Key store and database compared: what was destroyed stays destroyed when one of them comes out of a backup.

A database from before an erasure knows the patient and not the erasure. The tombstone in the key store does,
and says until when: the erasure is taken over from it, and then done again like any other. A key store from
before it has the key again; the database knows that it was destroyed, and it is destroyed again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from deid.keys.generations import patient_of
from deid.keys.standing import State
from deid.keys.store import KeyStore
from deid.keys.values import KeyStoreUnavailable
from dgis.cache.sql import reading
from dgis.erasure import intents
from dgis.erasure.values import Erasure

_log = structlog.get_logger(__name__)

_AGAIN_MS = 60_000  # until a key store that did not answer is asked again


@dataclass(frozen=True, slots=True)
class Compared:
    """What a pass over the key store came to: erasures taken over or opened again, keys to destroy again."""

    names: int = 0
    shredded: int = 0
    damaged: int = 0
    adopted: int = 0
    returned: int = 0


def compare(engine: sa.Engine, keys: KeyStore, now_ms: int) -> Compared:
    """Look at every name in the key store, making good what copies are missing, and take over tombstones.

    Raises:
        KeyStoreUnavailable: no vault answers any more; what was not looked at is for the next pass.
    """
    with reading(engine) as connection:
        known = intents.key_names(connection)
    states: Counter[State] = Counter()
    adopted = 0
    buried: set[str] = set()
    for name in keys.names():
        standing = keys.standing(name)
        states[standing.state] += 1
        if standing.shredded_ms is None:
            continue
        buried.add(name)
        if name not in known:
            with engine.begin() as connection:
                intents.adopt(connection, patient_of(name), name, standing.shredded_ms, now_ms)
            adopted += 1
    returned = known - buried
    with engine.begin() as connection:
        intents.spread_again(connection, returned)
        adopted += intents.reopen(connection)
    for event, count in (
        ("keys_damaged", states[State.DAMAGED]),
        ("destroyed_keys_were_back", len(returned)),
    ):
        if count:
            _log.error(event, keys=count)
    if adopted:
        _log.warning("erasures_taken_over", erasures=adopted)
    return Compared(states.total(), states[State.SHREDDED], states[State.DAMAGED], adopted, len(returned))


class Spreader:
    """Brings the tombstones that were asked for into every key store; one that is away is asked again."""

    def __init__(self, engine: sa.Engine, keys: KeyStore) -> None:
        self._engine = engine
        self._keys = keys
        self._tried: set[int] = set()
        self._pending: tuple[str, ...] = ()
        self._again_ms = 0

    def run_once(self, now_ms: int) -> tuple[str, ...]:
        """Return the stores that have yet to get a tombstone."""
        with reading(self._engine) as connection:
            wanted = intents.not_spread(connection)
        if not wanted or now_ms >= self._again_ms or {each.id for each in wanted} - self._tried:
            self._pending = self._spread(wanted, now_ms)
            self._tried = {each.id for each in wanted}
            self._again_ms = now_ms + _AGAIN_MS
        return self._pending

    def _spread(self, wanted: Sequence[Erasure], now_ms: int) -> tuple[str, ...]:
        pending: dict[str, None] = {}
        for each in wanted:
            try:
                left = self._keys.shred(each.key_name, each.requested_ms).pending
            except KeyStoreUnavailable as error:
                _log.warning("key_not_shredded", reason=str(error))
                left = ("all of them",)
            pending |= dict.fromkeys(left)
            if not left:
                with self._engine.begin() as connection:
                    intents.spread(connection, each.id, now_ms)
        return tuple(pending)
