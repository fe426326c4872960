import pytest
import sqlalchemy as sa

from replica import check, clean, fill, move, review
from replica.locate import locate
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from tests.unit.replica.grid import an_object


def a_locate(grid):
    with grid.engine.connect() as connection:
        locate(connection, grid.fleet, [RecordKey("series-1")], Kind.RECORD)


@pytest.mark.parametrize(
    "work",
    [
        a_locate,
        lambda grid: grid.put(an_object("another"), b"the bytes of a record"),
        lambda grid: check.run_once(grid.replicas, verified_before_ms=grid.clock() + 1),
        lambda grid: fill.run_once(grid.replicas),
        lambda grid: clean.run_once(grid.replicas, intent_grace_ms=-1, superseded_grace_ms=-1),
        lambda grid: review.run_once(grid.replicas),
        lambda grid: move.run_once(grid.replicas),
    ],
    ids=["locate", "put", "check", "fill", "clean", "review", "move"],
)
def test_no_statement_goes_through_a_whole_table(grid, work):
    new = grid.publish()
    grid.make_due(new)
    grid.set_copy(new, "a", state="suspicious")
    grid.put(an_object("begun"), b"the bytes of a record")
    statements = {}

    @sa.event.listens_for(grid.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_):
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            statements[statement] = parameters

    work(grid)
    sa.event.remove(grid.engine, "before_cursor_execute", note)
    assert statements
    with grid.engine.connect() as connection:
        for statement, parameters in statements.items():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [row[-1] for row in plan]
            large = ("SCAN replica_object", "SCAN replica_copy")  # nodes are a handful of rows
            assert not [step for step in steps if step.startswith(large)], (statement, steps)
