from replica import fill, review
from replica.placement import Rule
from replica.review import Reviewed
from tests.unit.replica.grid import Grid, an_object


def test_objects_with_all_their_copies_are_left_alone(grid):
    new = grid.publish()
    assert review.run_once(grid.replicas) == Reviewed(objects=1, made_due=0, misplaced=0, next_id=0)
    assert grid.row(new).fill_due_ms is None


def test_a_rule_that_asks_for_more_makes_objects_due(grid):
    fewer = grid.with_rule(copies=2, write_quorum=2)
    grid.replicas, more = fewer, grid.replicas
    new = grid.publish()
    assert len(grid.holders(new)) == 2
    assert review.run_once(more).made_due == 1
    assert fill.run_once(more).copied == 1
    assert grid.holders(new) == {"a", "b", "c"}


def test_a_node_that_is_away_for_long_does_not_count(engine):
    grid = Grid(engine, {"a": "x", "b": "x", "c": "x"}, Rule(copies=2, write_quorum=2))
    new = grid.publish()
    away = min(grid.holders(new))
    grid.flaky[away].script("*=down")
    grid.fleet.probe()
    assert review.run_once(grid.replicas).made_due == 0
    grid.clock.pass_seconds(16 * 60)
    assert review.run_once(grid.replicas).made_due == 1
    assert fill.run_once(grid.replicas).complete == 1
    assert grid.holders(new) == {"a", "b", "c"}
    assert set(grid.states(new).values()) == {"available"}


def test_goes_through_everything_in_steps(grid):
    for number in range(5):
        grid.publish(f"k{number}", b"%d" % number)
    grid.put(an_object("begun", b"x"), b"x")
    seen, after = 0, 0
    while True:
        step = review.run_once(grid.replicas, after, limit=2)
        seen, after = seen + step.objects, step.next_id
        if not after:
            break
    assert seen == 5
