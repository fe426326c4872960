"""Backups once more on PostgreSQL, and from one engine into the other."""

import pytest

from dgis import database
from dgis.configuration import Configuration
from tests.unit.dgis.backup.conftest import *  # noqa: F403 (the reviewer's desk)
from tests.unit.dgis.backup.test_backup import (
    backup,
    restored,
    rows_of,
    test_restored_and_rebuilt_is_what_it_was,  # noqa: F401
    test_who_was_erased_since_never_comes_back,  # noqa: F401
)
from tests.unit.dgis.rebuild.test_rebuild import lived
from tests.unit.dgis.site import Site, phantom

pytestmark = pytest.mark.postgres
DERIVED = {"grant_epoch", "rebuild_run", "rebuild_part"}


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


@pytest.fixture
def empty(tmp_path):
    """A SQLite database that nobody has used."""
    engine = database.open_engine(Configuration(gateway={"home": tmp_path / "new"}))
    yield engine
    engine.dispose()


def different(before, after):
    return {
        name for name in before if sorted(before[name], key=repr) != sorted(after[name], key=repr)
    } - DERIVED


def test_from_postgresql_to_sqlite_and_back(desk, site, empty, postgres_server, tmp_path):
    lived(desk, site)
    before = rows_of(site.engine)
    restored(site, backup(site, tmp_path / "one.backup").path, empty)
    assert different(before, rows_of(empty)) == set()
    with postgres_server.database() as url:
        again = database.open_engine(Configuration(gateway={"home": tmp_path}, catalog={"url": url}))
        site.engine, own = empty, site.engine
        try:
            restored(site, backup(site, tmp_path / "two.backup").path, again)
            assert different(before, rows_of(again)) == set()
            with again.begin() as connection:  # numbers go on behind the rows
                connection.exec_driver_sql("INSERT INTO patient_link VALUES (DEFAULT, 'a', 'b', 1, '', '')")
        finally:
            site.engine = own
            again.dispose()


def test_a_backup_is_of_one_moment(site, tmp_path, monkeypatch):
    """What is committed while it runs is in it whole or not at all."""
    site.publish(phantom(2))
    from dgis.backup import making  # noqa: PLC0415

    real = making.Rows
    pushed = []

    def rows(connection, table):
        if not pushed and table.name == "phi_study":
            pushed.append(table.name)
            site.publish(phantom(2, person=1, seed=4))
        return real(connection, table)

    monkeypatch.setattr(making, "Rows", rows)
    made = backup(site, tmp_path / "b.backup")
    assert pushed
    assert made.manifest.rows["phi_instance"] == 2
    assert made.manifest.rows["phi_series"] == made.manifest.rows["phi_patient"] == 1
