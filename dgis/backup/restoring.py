"""A backup into an empty database, and what went since out of it, in one transaction: the commit point.

    read the whole file and compare its digests -> schema of the backup's time -> rows -> schema of today
    -> erasures that the key stores know of -> what the nodes were told is withdrawn -> commit

A crash before the commit leaves an empty database, and the same command begins anew. So nobody is ever shown
a row of a patient whose key was destroyed after the backup was made.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError

from catalog.adopt import hide
from deid.keys.generations import patient_of
from deid.keys.store import KeyStore
from dgis import database, failpoints
from dgis.backup.box import Opener
from dgis.backup.making import Told, read_manifest, reading
from dgis.backup.snapshot import LEFT_OUT, fill, is_empty
from dgis.backup.values import BackupError, Manifest
from dgis.departed import notes
from dgis.departed.values import Departed, Why
from dgis.erasure import intents
from dgis.retention.removal import remove_records
from dgis.schema_floor import state_floor

_TABLE = "table/"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back: the backup's manifest, erasures and withdrawals since, nodes that did not tell."""

    manifest: Manifest
    erasures: int = 0
    withdrawn: int = 0
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """What happened after the backup: told by the key stores (None: not at hand) and by the nodes."""

    keys: KeyStore | None
    departed: Callable[[dict[str, str]], Iterator[Departed]]
    clock_ms: Callable[[], int]
    unreachable: dict[str, str] = field(default_factory=dict)


def restore_into(engine: sa.Engine, path: Path, opener: Opener, since: Since, told: Told) -> Restored:
    """Put a backup into an empty database.

    Raises:
        BackupError: the file is damaged, or holds no database; the database holds something.
        KeyStoreUnavailable: the key stores cannot say what was erased.
    """
    told("reading the backup")
    manifest = read_manifest(path, opener)
    if manifest.holds != "database":
        raise BackupError("this backup holds keys and no database")
    gone = list(since.departed(since.unreachable))
    with engine.connect() as connection:
        if not is_empty(connection):
            raise BackupError("the database holds something already; restore into an empty one")
        connection.rollback()
        try:
            database.upgrade(connection, manifest.revision)
        except CommandError:
            raise BackupError("the backup is of a later version of the gateway than this one") from None
        _fill(connection, path, opener, told)
        database.upgrade(connection)
        state_floor(connection)
        failpoints.hit("restore.filled")
        erasures = _erase(connection, since)
        withdrawn = _hide(connection, gone, since.clock_ms())
        failpoints.hit("restore.before_commit")
        connection.commit()
    failpoints.hit("restore.after_commit")
    return Restored(manifest, erasures, withdrawn, tuple(sorted(since.unreachable)))


def _fill(connection: sa.Connection, path: Path, opener: Opener, told: Told) -> None:
    there = set(sa.inspect(connection).get_table_names())
    with reading(path, opener) as reader:
        for entry, pieces in reader:
            name = entry.removeprefix(_TABLE)
            if not entry.startswith(_TABLE) or name in LEFT_OUT:
                continue
            if name not in there:
                raise BackupError(f"the backup holds a table {name} that its own schema does not have")
            told(f"table {name}")
            fill(connection, sa.Table(name, sa.MetaData(), autoload_with=connection), pieces)


def _erase(connection: sa.Connection, since: Since) -> int:
    """Take over the tombstones that the backup does not know of."""
    if since.keys is None:
        return 0
    known = intents.key_names(connection)
    count = 0
    for name in since.keys.names():
        shredded_ms = since.keys.standing(name).shredded_ms
        if shredded_ms is not None and name not in known:
            intents.adopt(connection, patient_of(name), name, shredded_ms, since.clock_ms())
            count += 1
    intents.reopen(connection)
    return count


def _hide(connection: sa.Connection, gone: Sequence[Departed], now_ms: int) -> int:
    notes.add(connection, gone)
    removed = sorted({each.record_key for each in gone if each.why is Why.REMOVED and not each.instance_key})
    remove_records(connection, removed, now_ms)
    withdrawn = {(each.record_key, each.instance_key) for each in gone if each.why is Why.WITHDRAWN}
    return sum(hide(connection, record_key, [instance_key]) for record_key, instance_key in sorted(withdrawn))
