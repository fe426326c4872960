"""Making a backup file: written beside its name, synced, read back, renamed; then old ones go.

The name is the commit point. A crash before it leaves a `.tmp` file, which the next backup removes; after it
the backup is there, and at most an old one more than is wanted.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from deid.keys.durable import PRIVATE_FILE, make_folder, sync_folder
from dgis import failpoints
from dgis.backup.box import BoxWriter, Opener, opened
from dgis.backup.entries import EntryReader, EntryWriter
from dgis.backup.snapshot import Rows, snapshot, tables
from dgis.backup.values import BackupError, Manifest
from dgis.configuration import Configuration

_NAME: Final = re.compile(r"dgis-(?P<gateway>.+)-(?P<time>\d{8}T\d{6}Z)\.backup")
_TIME: Final = "%Y%m%dT%H%M%SZ"

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is there, and what was removed of older ones."""

    path: Path
    size: int
    manifest: Manifest
    pruned: tuple[str, ...] = ()


def file_name(gateway: str, now_ms: int) -> str:
    """Return what a backup of a gateway is called."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", gateway) or "gateway"
    return f"dgis-{plain}-{datetime.fromtimestamp(now_ms / 1000, UTC).strftime(_TIME)}.backup"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is backed up: the database of a configuration, and the file that says so, if one was named."""

    configuration: Configuration
    engine: sa.Engine
    config_file: Path | None


def back_up(subject: Subject, path: Path, opener: Opener, now_ms: int, told: Told) -> Made:
    """Write the database and the configuration into a file.

    Raises:
        BackupError: the file is there, cannot be written, or does not read back.
    """
    gateway = subject.configuration.gateway

    def entries(writer: EntryWriter) -> Manifest:
        with snapshot(subject.engine) as connection:
            revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
            for table in tables():
                told(f"table {table.name}")
                rows = Rows(connection, table)
                writer.add(f"table/{table.name}", rows, rows=rows.count)
        _add_configuration(writer, subject)
        return Manifest(now_ms, gateway.name, gateway.facility, str(revision), "database")

    return write(path, opener, entries, told)


def _add_configuration(writer: EntryWriter, subject: Subject) -> None:
    values = subject.configuration.model_dump(mode="json")
    writer.add("configuration.json", [json.dumps(values, indent=2).encode()])
    if subject.config_file is not None:
        try:
            writer.add("configuration.toml", [subject.config_file.read_bytes()])
        except OSError as error:
            raise BackupError(f"cannot read the configuration file: {error.strerror}") from None


def write(path: Path, opener: Opener, entries: Callable[[EntryWriter], Manifest], told: Told) -> Made:
    """Write a file of entries so that it is there whole or not at all.

    Raises:
        BackupError: as `back_up`.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent)
        if path.exists():
            raise BackupError(f"{path} is there already; a backup never replaces one")
        _sweep(path.parent)
        temporary.unlink(missing_ok=True)
        manifest = _written(temporary, opener, entries)
        failpoints.hit("backup.written")
        told("reading it back")
        if read_manifest(temporary, opener) != manifest:
            raise BackupError("the backup does not read back as it was written")
        os.link(temporary, path)  # unlike a rename it never replaces
        temporary.unlink()
        sync_folder(path.parent)
        return Made(path, path.stat().st_size, manifest)
    except OSError as error:
        raise BackupError(f"cannot write {path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _written(temporary: Path, opener: Opener, entries: Callable[[EntryWriter], Manifest]) -> Manifest:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        writer = EntryWriter(BoxWriter(file, opener))
        manifest = writer.finish(entries(writer))
        file.flush()
        os.fsync(descriptor)
    return manifest


def read_manifest(path: Path, opener: Opener) -> Manifest:
    """Go through a whole backup, compare every digest, and return what it holds.

    Raises:
        BackupError: it is not what was written, or does not open.
    """
    with reading(path, opener) as reader:
        for _name, _pieces in reader:
            pass
        return reader.manifest


class reading:  # noqa: N801 (a context manager, used as a function)
    """Open a backup for reading its entries in order."""

    def __init__(self, path: Path, opener: Opener) -> None:
        self._path = path
        self._opener = opener

    def __enter__(self) -> EntryReader:
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise BackupError(f"cannot read {self._path}: {error.strerror}") from None
        return EntryReader(opened(self._file, self._opener))

    def __exit__(self, *_details: object) -> None:
        self._file.close()


def prune(folder: Path, gateway: str, keep_days: int, now_ms: int) -> Iterator[str]:
    """Remove backups of a gateway that are older than they are to be kept; yields their names."""
    oldest = datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(days=keep_days)
    own = file_name(gateway, now_ms).rpartition("-")[0]
    for path in sorted(folder.glob("dgis-*.backup")):
        found = _NAME.fullmatch(path.name)
        if found is None or path.name.rpartition("-")[0] != own:
            continue
        if datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC) < oldest:
            path.unlink()
            yield path.name
    sync_folder(folder)


def _sweep(folder: Path) -> None:
    for leftover in _leftovers(folder.iterdir()):
        leftover.unlink(missing_ok=True)


def _leftovers(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.name.startswith(".dgis-") and path.name.endswith(".backup.tmp"))
