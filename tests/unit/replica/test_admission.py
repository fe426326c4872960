import pytest

from replica.admission import NotAdmitted, check_ours, try_out
from storage_nodes.addresses import Kind
from storage_nodes.wrappers.verify import Verified
from tests.unit.replica.grid import an_object


@pytest.mark.parametrize("script", ["*=down", "put=full", "put=lie", "put=lost", "get=lie", "delete=refused"])
def test_a_node_that_cannot_hold_an_object_is_refused(grid, script):
    grid.flaky["a"].script(script)
    with pytest.raises(NotAdmitted, match="cannot be used"):
        try_out(Verified(grid.flaky["a"]))


def test_trying_out_leaves_nothing(grid):
    try_out(Verified(grid.flaky["a"]))
    assert grid.memory["a"].objects == {}


def test_empty_or_ours(grid):
    def ask():
        with grid.engine.connect() as connection:
            return check_ours(connection, Kind.RECORD, grid.flaky["a"])

    assert ask() == 0
    grid.memory["a"].objects[an_object("other").name] = b"the bytes of a record"
    with pytest.raises(NotAdmitted, match="none is known here"):
        ask()
    grid.publish()
    assert ask() == 1
    grid.flaky["a"].script("list=refused")
    with pytest.raises(NotAdmitted, match="cannot be listed"):
        ask()
