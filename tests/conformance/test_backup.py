"""deploy/backup.sh: what nodes do not hold, whole or not at all, from a home that is in use."""

import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.gateway import PROJECT
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

SCRIPT = PROJECT / "deploy" / "backup.sh"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    own = Home(tmp_path_factory.mktemp("backed") / "h")
    own.folder.mkdir()
    own.receive(phantom(2))
    own.publish()
    return own


def backup(home, target, code=0, **variables):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["sh", SCRIPT, home, target],
        env={**kept, "DGIS_PYTHON": sys.executable, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return sorted(path for path in target.iterdir()) if target.exists() else []


def members(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return {Path(each.name).name for each in archive if each.isfile()}


def tables(path):
    with sqlite3.connect(path) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}


def test_database_and_every_key_store_are_in_it(home, tmp_path):
    (made,) = backup(home.folder, tmp_path / "b")
    assert sorted(path.name for path in made.iterdir()) == [
        "catalog.sqlite",
        "key-store-1.tar.gz",
        "key-store-2.tar.gz",
    ]
    assert tables(made / "catalog.sqlite") == tables(home.folder / "catalog.sqlite")
    for number, store in ((1, "store-a"), (2, "store-b")):
        there = {path.name for path in (home.folder / "keys" / store).rglob("*") if path.is_file()}
        assert "vault.json" in there
        assert members(made / f"key-store-{number}.tar.gz") == there
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made, *made.iterdir()))
    kek = (home.folder / "keys" / "kek").read_bytes().strip()
    assert not [path for path in made.iterdir() if kek in path.read_bytes()]


def test_without_a_key_store_there_is_no_backup_that_looks_like_one(home, tmp_path):
    stores = f"{home.folder}/keys/store-a {home.folder}/keys/nowhere"
    left = backup(home.folder, tmp_path / "b", 1, DGIS_KEY_STORES=stores)
    assert not [path for path in left if not path.name.startswith(".")]
    (made,) = backup(home.folder, tmp_path / "b")
    assert made.is_dir()


def test_only_the_newest_are_kept(home, tmp_path):
    target = tmp_path / "b"
    for day in range(1, 6):
        (target / f"2026-01-0{day}T023000").mkdir(parents=True)
    left = backup(home.folder, target, DGIS_BACKUP_KEEP="3")
    assert [path.name for path in left[:2]] == ["2026-01-04T023000", "2026-01-05T023000"]
    assert len(left) == 3
