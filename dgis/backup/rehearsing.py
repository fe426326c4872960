"""Whether a backup would save one: restored into a scratch place, counted, its keys and its trail tried.

Nothing of the gateway is touched. The scratch database lies under the home and is removed at the end; a crash
leaves its folder, which the next rehearsal removes.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from catalog.audit import chain, trail
from catalog.tables import PHI
from deid.keys.store import KeyStore
from deid.keys.values import KeyDamaged, KeyMissing, KeyShredded
from dgis import database
from dgis.backup.box import Opener
from dgis.backup.making import Told
from dgis.backup.restoring import Restored, Since, restore_into
from dgis.backup.snapshot import tables
from dgis.configuration import Configuration, Gateway
from dgis.retriever.records import NotHere, Shelf
from dgis.review import log as reviews
from replica.fleet import Fleet
from replica.tables import replica_object
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

_FOLDER = "rehearsal-"
_TOLD_EVERY = 50


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal found.

    Tables whose rows are not as many as the manifest says; writers whose trail does not follow; companions by
    what became of opening them.
    """

    restored: Restored
    wrong_rows: tuple[str, ...]
    broken_trails: tuple[str, ...]
    broken_reviews: bool
    opened: int
    erased: int
    without_key: int
    unreadable: int

    @property
    def saves(self) -> bool:
        """Whether this backup, with these keys and nodes, would bring everything back."""
        faults = self.wrong_rows or self.broken_trails or self.broken_reviews
        return not (faults or self.without_key or self.unreadable)

    def words(self) -> Iterator[str]:
        """Yield the verdict for people."""
        rows = sum(self.restored.manifest.rows.values())
        yield f"{rows} rows of {len(self.restored.manifest.rows)} tables were restored"
        if self.wrong_rows:
            yield f"trouble: other counts than the backup says, in {', '.join(self.wrong_rows)}"
        for writer in self.broken_trails:
            yield f"trouble: the audit trail of {writer} was altered, or entries are missing"
        if self.broken_reviews:
            yield "trouble: the log of reviews was altered, or entries are missing"
        yield f"{self.opened} sealed companions open with their patients' keys"
        if self.erased:
            yield f"{self.erased} are of patients who were erased, and open no more: as it should be"
        if self.without_key:
            yield f"trouble: the keys of {self.without_key} are in no key store: these originals are gone"
        if self.unreadable:
            yield f"trouble: {self.unreadable} are on no node that answers, or no copy opens"
        if self.saves:
            yield "this backup would save you: restore it, then dgis rebuild for what was published since"
        else:
            yield "this backup would NOT bring everything back"


def rehearse(scratch: Path, path: Path, opener: Opener, after: tuple[Fleet, Since], told: Told) -> Rehearsed:
    """Restore a backup into a scratch folder and look at it, with the nodes and keys of today.

    Raises:
        BackupError, KeyStoreUnavailable: as `restore_into`.
    """
    fleet, since = after
    with _scratch(scratch) as engine:
        restored = restore_into(engine, path, opener, since, told)
        with engine.connect() as connection:
            wrong = tuple(_wrong_rows(connection, restored)) if not restored.erasures else ()
            told("following the trail")
            trails = tuple(_broken_trails(connection))
            broken_reviews = reviews.first_broken(connection) is not None
            sealed = [row.record_key for row in connection.execute(_companions())]
        counts = _tried(engine, fleet, since.keys, sealed, told)
    return Rehearsed(
        restored,
        wrong,
        trails,
        broken_reviews,
        counts["opened"],
        counts["erased"],
        counts["without_key"],
        counts["unreadable"],
    )


@contextmanager
def _scratch(scratch: Path) -> Iterator[sa.Engine]:
    for left in scratch.glob(f"{_FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=scratch))
    engine = database.open_engine(Configuration(gateway=Gateway(home=folder)))
    try:
        yield engine
    finally:
        engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)


def _wrong_rows(connection: sa.Connection, restored: Restored) -> Iterator[str]:
    said = restored.manifest.rows
    for table in tables():
        count = connection.scalar(sa.select(sa.func.count()).select_from(table))
        if table.name in said and count != said[table.name] and table.name != "departed":
            yield table.name


def _broken_trails(connection: sa.Connection) -> Iterator[str]:
    for head in trail.heads(connection):
        number, last = 0, chain.BEGINNING
        for entry in trail.entries(connection, head.writer):
            expected = chain.digest(last, entry.writer, number + 1, entry.at_ms, entry.happening)
            if entry.number != number + 1 or entry.digest != expected:
                break
            number, last = entry.number, entry.digest
        if (number, last) != (head.number, bytes(head.digest)):
            yield head.writer


def _companions() -> sa.Select[tuple[str]]:
    """Select the companions that originals lie in."""
    used = sa.select(PHI.instance.c.record_key).where(PHI.instance.c.record_key.is_not(None))
    row = replica_object.c
    return (
        sa.select(row.record_key)
        .where(
            row.kind == Kind.SEALED,
            row.committed_ms.is_not(None),
            row.superseded_ms.is_(None),
            row.record_key.in_(used),
        )
        .order_by(row.record_key)
    )


def _tried(
    engine: sa.Engine, fleet: Fleet, keys: KeyStore | None, sealed: list[str], told: Told
) -> Counter[str]:
    counts: Counter[str] = Counter()
    shelf = Shelf(engine.execution_options(read_only=True), fleet, lambda _misbehaviour: None)
    for number, record_key in enumerate(sealed):
        if number % _TOLD_EVERY == 0:
            told(f"opening companions: {number} of {len(sealed)}")
        counts[_try_one(shelf, keys, RecordKey(record_key))] += 1
    return counts


def _try_one(shelf: Shelf, keys: KeyStore | None, record_key: RecordKey) -> str:
    if keys is None:
        return "without_key"
    try:
        shelf.companion(record_key, keys.get).ask(len)
    except KeyShredded:
        return "erased"
    except (KeyMissing, KeyDamaged):
        return "without_key"
    except NotHere:
        return "unreadable"
    return "opened"
