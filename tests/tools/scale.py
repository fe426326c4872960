"""What the index costs as it grows: studies and replicas in PostgreSQL, and the gateway's statements timed.

`python -m tests.tools.scale [STUDIES]` loads a hundredth, a tenth and all of them; at each size it prints how
long the slowest statement of locating, placing, scrubbing, cleaning and finding takes, lastly with its plan.
A million studies are ten million replica rows: 2.5 million objects, three copies of each.
"""

import logging
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog

from catalog.contributors import PublisherGrant, ensure_contributors
from catalog.find import find
from catalog.grants import everyone_finds_deidentified, write_once
from catalog.query import Key, Level, Query, Root
from dgis import database
from dgis.postgres import server_engine
from dgis.retention.configuration import RetentionRule
from dgis.retention.due import due
from replica import check, clean, fill, review
from replica.context import Replicas
from replica.fleet import Fleet
from replica.locate import locate
from replica.placement import Rule
from replica.rules import Rules
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from storage_nodes.testing.memory import MemoryNode
from tests.postgres import running_postgres
from tests.unit.catalog.world import NOW, alpha, researcher

NODES = 5
RUNS = 40
DUE = 100  # series that are kept long enough, of any number
LIMIT_MS = {"locate": 2.0, "place": 20.0, "scrub": 20.0, "clean": 20.0, "retention": 50.0}
_SQL = Path(__file__).with_suffix(".sql")


def main():
    """Load and measure in three steps."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with running_postgres() as server, server.database() as url:
        engine = server_engine(sa.make_url(url))
        database.migrate(engine)
        contributor = prepare(engine)
        first, failed = 1, []
        for last in (studies // 100, studies // 10, studies):
            seconds = load(engine, contributor, first, last)
            first = last + 1
            _say(f"\n{last:,} studies, {_rows(engine):,} replica rows (loaded in {seconds:.0f} s)")
            failed = _measure(engine, last, plans=last == studies)
        engine.dispose()
    if failed:
        _say(f"slower than asked for: {', '.join(failed)}")
        sys.exit(1)


def prepare(engine):
    with engine.begin() as connection:
        write_once(connection, [everyone_finds_deidentified()])
        of = ("Alpha", alpha.assertions)
        return ensure_contributors(connection, {of}, PublisherGrant(), NOW)[of]


def load(engine, contributor, first, last):
    began = time.monotonic()
    with engine.begin() as connection, _without_indexes(connection):
        objects = connection.scalar(sa.text("SELECT coalesce(max(id), 0) FROM replica_object"))
        given = {"FIRST": first, "LAST": last, "CONTRIBUTOR": contributor, "OBJECTS": objects, "NOW_MS": NOW}
        text = re.sub("|".join(given), lambda word: f"{given[word[0]]}::bigint", _SQL.read_text())
        for statement in text.split(";\n"):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    return time.monotonic() - began


@contextmanager
def _without_indexes(connection):
    """Leave the indexes that hold no constraint out while rows are loaded: built at once they are quicker."""
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem TO '512MB'")
    found = connection.exec_driver_sql(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' AND indexdef NOT LIKE 'CREATE UNIQUE%%'"
    ).all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for _, definition in found:
        connection.exec_driver_sql(definition)


def _rows(engine):
    with engine.connect() as connection:
        return sum(
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("replica_object", "replica_copy")
        )


def _measure(engine, studies, *, plans):
    """Print the slowest statement of each kind of work, at the median; returns those beyond their limit."""
    nodes = [MemoryNode(f"node-{number}") for number in range(NODES)]
    fleet = Fleet(dict.fromkeys(Kind, nodes), "east")
    replicas = Replicas(engine, fleet, Rules(Rule(3, 2, 1)))
    draw, failed = random.Random(studies), []
    for name, work in works(engine, replicas, studies, draw).items():
        seen, statement, given = _slowest(engine, work)
        server, plan = _explained(engine, statement, given)
        limit = LIMIT_MS.get(name)
        late = limit is not None and server > limit
        words = f"  SLOWER THAN {limit} ms" if late else ""
        _say(f"  {name:16}{server:8.2f} ms in the server{seen:8.2f} ms with the way there{words}")
        if late:
            failed.append(name)
        if plans or late:
            _say("\n".join(f"      {line}" for line in plan))
    return failed


def works(engine, replicas, studies, draw):
    def locating():
        with engine.connect() as connection:
            key = RecordKey(f"2.25.{draw.randint(1, studies)}.0")
            locate(connection, replicas.fleet, [key], Kind.RECORD)

    def finding(keyword, value, caller):
        def work():
            number = draw.randint(1, studies)
            keys = (Key(keyword, (value.format(number),)), Key("StudyInstanceUID", ()))
            with engine.connect() as connection:
                list(find(connection, Query(Root.STUDY, Level.STUDY, keys), caller, NOW))

        return work

    def retaining():
        with engine.connect() as connection:
            assert len(list(due(connection, (RetentionRule(keep_days=12),), NOW))) == DUE

    reviewed = iter(range(0, 2**62, 1000))
    return {
        "locate": locating,
        "place": lambda: fill.run_once(replicas, 1),
        "review 1,000": lambda: review.run_once(replicas, next(reviewed) % studies),
        "scrub": lambda: check.run_once(replicas, 1, replicas.clock_ms()),
        "clean": lambda: clean.run_once(replicas, 1),
        "retention": retaining,
        "find accession": finding("AccessionNumber", "A{}", alpha),
        "find patient": finding("PatientID", "phi{}", alpha),
        "find uncleared": finding("PatientID", "deid{}", researcher),
    }


def _slowest(engine, work):
    """Return milliseconds as seen here, text and parameters of the statement that takes longest."""
    taken, given, began = defaultdict(list), defaultdict(list), {}

    def before(_connection, cursor, *_):
        began[id(cursor)] = time.perf_counter()

    def after(_connection, cursor, statement, parameters, *_):
        taken[statement].append(1000 * (time.perf_counter() - began.pop(id(cursor))))
        given[statement].append(parameters)

    work()
    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "after_cursor_execute", after)
    try:
        for _ in range(RUNS):
            work()
    finally:
        sa.event.remove(engine, "before_cursor_execute", before)
        sa.event.remove(engine, "after_cursor_execute", after)
    usual = {statement for statement, times in taken.items() if len(times) >= RUNS // 2}
    slowest = max(usual or taken, key=lambda statement: statistics.median(taken[statement]))
    return statistics.median(taken[slowest]), slowest, given[slowest]


def _explained(engine, statement, given):
    """Return planning and execution by the server's clock, the median over what was asked, and one plan."""
    taken, plan = [], []
    with engine.connect() as connection:
        for parameters in given:
            rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
            plan = list(rows.scalars())
            connection.rollback()
            times = [
                float(line.split()[2]) for line in plan if line.startswith(("Planning T", "Execution T"))
            ]
            taken.append(sum(times))
    return statistics.median(taken), plan


def _say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
