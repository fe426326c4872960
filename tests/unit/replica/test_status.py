from replica.status import status
from replica.values import CopyState
from storage_nodes.addresses import Kind
from tests.unit.replica.grid import an_object


def ask(grid):
    with grid.engine.connect() as connection:
        return status(connection)


def test_an_empty_index(grid):
    found = ask(grid)
    assert found.kinds[Kind.RECORD].objects == 0
    assert found.nodes == {}
    assert found.words() == ("0 records, all with their copies", "0 sealed companions, all with their copies")


def test_counts_what_there_is(grid):
    first = grid.publish("first", b"12345")
    grid.clock.pass_seconds(10)
    second = grid.publish("second", b"123")
    grid.publish("second", b"1234567", kind=Kind.SEALED)
    grid.put(an_object("third"), b"the bytes of a record")
    grid.set_copy(first, "b", state="bad")
    for node in "abc":
        grid.set_copy(second, node, state="lost")
    grid.make_due(second)
    found = ask(grid)
    records = found.kinds[Kind.RECORD]
    assert (records.objects, records.size_bytes, records.under_rule, records.without_copy) == (2, 8, 1, 1)
    assert records.oldest_check_ms == grid.clock() - 10_000
    assert found.kinds[Kind.SEALED].objects == 1
    assert found.intended == 1
    assert found.copies(CopyState.LOST) == 3
    assert found.nodes["b"] == {
        CopyState.AVAILABLE: 1,
        CopyState.BAD: 1,
        CopyState.COPYING: 1,
        CopyState.LOST: 1,
    }
    words = found.words()
    assert "2 records, 1 wait for copies" in words
    assert "trouble: 1 records without a good copy on any node" in words
    assert "trouble: 1 bad copies on b" in words
    assert "1 objects begun and not yet committed" in words
