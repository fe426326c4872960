"""deploy/backup.sh with PostgreSQL: a dump by the gateway's own role, with the rows that security guards."""

import subprocess

import pytest
import sqlalchemy as sa

from tests.conformance.test_backup import backup
from tests.postgres import _binaries
from tests.unit.dgis.site import Site, phantom
from tests.unit.dgis.test_copying import TABLES, rows

pytestmark = pytest.mark.postgres


def test_a_dump_brings_every_row_back(postgres_server, tmp_path):
    with postgres_server.database() as url, postgres_server.database() as other:
        site = Site(tmp_path, url)
        site.publish(phantom(2))
        before = {table.name: rows(site.engine, table) for table in TABLES}
        site.close()
        variables = {"PGHOST": str(postgres_server.folder), "PGUSER": "gateway"}
        path = f"{_binaries()}:/usr/bin:/bin"
        (made,) = backup(
            tmp_path,
            tmp_path / "b",
            DGIS_KEY_STORES=str(tmp_path / "store"),
            PGDATABASE=sa.make_url(url).database,
            PATH=path,
            **variables,
        )
        restore = ["pg_restore", "--no-owner", "--exit-on-error", "-d", sa.make_url(other).database]
        subprocess.run([*restore, made / "database.dump"], check=True, env={"PATH": path, **variables})
        restored = Site(tmp_path, other)
        after = {table.name: rows(restored.engine, table) for table in TABLES}
        restored.close()
    assert after == before
    assert before["phi_instance"]
