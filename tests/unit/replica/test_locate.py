import sqlalchemy as sa

from replica import clean
from replica.intent import replace, supersede
from replica.locate import locate
from replica.source import ReplicaSource
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from tests.unit.replica.grid import an_object


def ask(grid, *keys, kind=Kind.RECORD):
    with grid.engine.connect() as connection:
        return locate(connection, grid.fleet, [RecordKey(key) for key in keys], kind)


def test_says_what_a_reader_needs(grid):
    layout = {"index": [100, 20], "digest": "ab"}
    new = an_object(layout=layout)
    grid.commit(grid.put(new, b"the bytes of a record"))
    found = ask(grid, "series-1", "unknown")
    assert found.keys() == {"series-1"}
    located = found[RecordKey("series-1")]
    assert (located.name, located.size_bytes, located.sha256) == (new.name, 21, new.sha256)
    assert located.layout == layout
    assert set(located.nodes) == {"a", "b", "c"}


def test_the_own_site_comes_first_and_ailing_nodes_last(grid):
    grid.publish()
    nodes = ask(grid, "series-1")[RecordKey("series-1")].nodes
    assert set(nodes[:2]) == {"a", "b"}
    grid.flaky[nodes[0]].script("*=down")
    grid.fleet.probe()
    assert ask(grid, "series-1")[RecordKey("series-1")].nodes == (nodes[1], "c", nodes[0])


def test_reads_of_many_objects_spread_over_equally_near_nodes(grid):
    keys = [f"series-{number}" for number in range(30)]
    for key in keys:
        grid.publish(key)
    first = [located.nodes[0] for located in ask(grid, *keys).values()]
    assert first.count("a") > 5
    assert first.count("b") > 5


def test_records_and_sealed_companions_are_apart(grid):
    grid.publish(body=b"record")
    grid.publish(body=b"sealed", kind=Kind.SEALED)
    record = ask(grid, "series-1")[RecordKey("series-1")]
    sealed = ask(grid, "series-1", kind=Kind.SEALED)[RecordKey("series-1")]
    assert (record.size_bytes, sealed.size_bytes) == (6, 6)
    assert record.name.startswith("record/")
    assert sealed.name.startswith("sealed/")


def test_what_is_not_committed_or_superseded_is_not_located(grid):
    grid.put(an_object("intended"), b"the bytes of a record")
    grid.publish("old", b"old")
    with grid.engine.begin() as connection:
        supersede(connection, [RecordKey("old")], grid.clock())
    assert ask(grid, "intended", "old") == {}


def replaced(grid, old, by):
    with grid.engine.begin() as connection:
        assert replace(connection, [RecordKey(old)], RecordKey(by), grid.clock()) == 1


def test_what_was_replaced_is_located_by_its_own_key_until_it_is_being_removed(grid):
    old = grid.publish("old", b"old")
    grid.publish("new", b"new")
    grid.set_copy(old, "c", state="bad")
    replaced(grid, "old", "new")
    assert set(ask(grid, "old")[RecordKey("old")].nodes) == {"a", "b"}
    clean.run_once(grid.replicas, superseded_grace_ms=60_000)
    assert "old" in ask(grid, "old")
    grid.clock.pass_seconds(61)
    for node in grid.flaky.values():
        node.script("delete=down")
    clean.run_once(grid.replicas, superseded_grace_ms=60_000)
    assert grid.row(old) is not None
    assert ask(grid, "old") == {}
    assert "new" in ask(grid, "new")


def test_what_was_replaced_goes_out_of_sight_with_what_took_its_place(grid):
    for key in ("first", "second", "third"):
        grid.publish(key, key.encode())
    replaced(grid, "first", "second")
    replaced(grid, "second", "third")
    assert ask(grid, "first", "second", "third").keys() == {"first", "second", "third"}
    with grid.engine.begin() as connection:
        supersede(connection, [RecordKey("third")], grid.clock())
    assert ask(grid, "first", "second", "third") == {}


def test_only_the_kind_that_is_retired_goes_out_of_sight(grid):
    for kind in Kind:
        grid.publish("old", b"old", kind)
        grid.publish("new", b"new", kind)
    replaced_both = [RecordKey("old")], RecordKey("new"), grid.clock()
    with grid.engine.begin() as connection:
        assert replace(connection, *replaced_both) == 2
        supersede(connection, [RecordKey("new")], grid.clock(), Kind.SEALED)
    assert ask(grid, "old", "new").keys() == {"old", "new"}
    assert ask(grid, "old", "new", kind=Kind.SEALED) == {}


def test_copies_that_are_not_known_to_be_good_are_left_out(grid):
    new = grid.publish()
    for node, state in (("a", "suspicious"), ("b", "bad"), ("c", "lost")):
        grid.set_copy(new, node, state=state)
    assert ask(grid, "series-1")[RecordKey("series-1")].nodes == ()


def test_many_keys_at_once(grid):
    new = grid.publish()
    keys = [f"k{number}" for number in range(1200)] + ["series-1"]
    assert [located.name for located in ask(grid, *keys).values()] == [new.name]


def test_an_empty_question_asks_nothing(grid):
    assert ask(grid) == {}
    with grid.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_a_source_knows_its_size(grid):
    grid.publish()
    assert ReplicaSource(grid.fleet, ask(grid, "series-1")[RecordKey("series-1")]).size == 21
