"""Publishing under a key and asking for its destruction exclude each other.

Both take the patient's fence first, in the transaction that makes them real. So a part is either committed
before the erasure, which then takes it away, or it is not committed: nothing new is sealed under a key that
goes, and no image that is to go is published.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.sql import in_lists
from dgis.erasure.tables import erasure

_SEED = 0x44474953  # "DGIS": our own among the advisory locks of a database


def hold(connection: sa.Connection, patient_key: str) -> None:
    """Wait for the fence of a patient, and hold it until the transaction ends.

    A transaction that writes has SQLite to itself anyway (dgis.database).
    """
    if connection.dialect.name == "postgresql":
        name = sa.func.hashtextextended(patient_key, _SEED)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def may_publish(
    connection: sa.Connection, patient_key: str, key_name: str, phi_instance_ids: Iterable[int]
) -> bool:
    """Hold the fence, and say whether a part of these originals may be published under this key."""
    hold(connection, patient_key)
    asked = erasure.c.patient_key == patient_key
    doomed_key = sa.select(erasure.c.id).where(asked, erasure.c.key_name == key_name)
    if connection.execute(doomed_key).first() is not None:
        return False
    until_ms = connection.scalar(sa.select(sa.func.max(erasure.c.requested_ms)).where(asked))
    if until_ms is None:
        return True
    return not any(_received_until(connection, some, until_ms) for some in in_lists(list(phi_instance_ids)))


def _received_until(connection: sa.Connection, some: list[int], until_ms: int) -> bool:
    instance = PHI.instance.c
    doomed = sa.select(instance.id).where(instance.id.in_(some), instance.received_ms <= until_ms)
    return connection.execute(doomed.limit(1)).first() is not None
