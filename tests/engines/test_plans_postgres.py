"""With rows enough to choose by, no statement of locating, placing, scrubbing or finding scans a table."""

import random

import pytest
import sqlalchemy as sa

from dgis import database
from dgis.postgres import server_engine
from replica.context import Replicas
from replica.fleet import Fleet
from replica.placement import Rule
from replica.rules import Rules
from storage_nodes.addresses import Kind
from storage_nodes.testing.memory import MemoryNode
from tests.tools import scale

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("plans-postgres")]

STUDIES = 5_000
WORKS = ("locate", "place", "scrub", "clean", "find accession", "find patient", "find uncleared")
LARGE = ("replica_object", "replica_copy", "replica_dark", "phi_", "deid_")


@pytest.fixture(scope="module")
def works(postgres_server):
    with postgres_server.database() as url:
        engine = server_engine(sa.make_url(url))
        database.migrate(engine)
        scale.load(engine, scale.prepare(engine), 1, STUDIES)
        nodes = [MemoryNode(f"node-{number}") for number in range(scale.NODES)]
        fleet = Fleet(dict.fromkeys(Kind, nodes), "east")
        replicas = Replicas(engine, fleet, Rules(Rule(3, 2, 1)))
        yield engine, scale.works(engine, replicas, STUDIES, random.Random(1))
        engine.dispose()


@pytest.mark.parametrize("name", WORKS)
def test_no_statement_goes_through_a_large_table(works, name):
    engine, of_name = works
    statements = {}

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_):
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            statements[statement] = parameters

    of_name[name]()
    sa.event.remove(engine, "before_cursor_execute", note)
    assert statements
    with engine.connect() as connection:
        for statement, parameters in statements.items():
            plan = list(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
            scans = [line for line in plan if "Seq Scan on" in line]
            assert not [line for line in scans if any(table in line for table in LARGE)], "\n".join(plan)


def test_what_is_due_is_found_by_when_it_came(works):
    engine, of_name = works
    asked = {}

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_):
        asked[statement] = parameters

    of_name["retention"]()
    sa.event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        # A table of few pages is read as fast whole; what counts is that there is a way by the index.
        connection.exec_driver_sql("SET LOCAL enable_seqscan TO off")
        plans = {
            statement: "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
            for statement, given in asked.items()
            if "_instance" in statement
        }
    for index in ("ix_phi_instance_received_ms", "ix_deid_instance_published_ms"):
        assert any(f"Bitmap Index Scan on {index}" in plan for plan in plans.values()), plans
    assert not [plan for plan in plans.values() if any(f"Seq Scan on {table}" in plan for table in LARGE)]
