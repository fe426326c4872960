"""Which parts are merged, and when."""

from hypothesis import given
from hypothesis import strategies as st

from catalog.grants import What
from dgis.merger.tables import merge_job
from dgis.merger.values import Rule, SmallPart, choose
from dgis.retention import holds
from tests.unit.dgis.erasure.erasing import patient_key
from tests.unit.dgis.merger.merging import RULE, consider, in_parts, job, merge, merger, records, small
from tests.unit.dgis.site import phantom

A_RULE = Rule(parts=3, below_bytes=100, most_bytes=250, quiet_ms=0)


def part(number, length=10, *, decided=False):
    return SmallPart(f"k{number}", decided, length, planned_ms=number, published_ms=number)


def test_fewer_than_the_rule_says_stay():
    assert choose([part(1), part(2)], A_RULE) == []


def test_large_parts_stay():
    assert choose([part(1, 100), part(2), part(3)], A_RULE) == []


def test_they_are_taken_in_the_order_they_were_planned_up_to_the_size_of_a_part():
    parts = [part(number, 90) for number in (4, 2, 1, 3)]
    assert choose(parts, Rule(2, 100, 250, 0)) == [part(1, 90), part(2, 90)]


def test_what_reviewers_decided_is_merged_apart():
    undecided, decided = [part(n) for n in (1, 2)], [part(n, decided=True) for n in (3, 4, 5)]
    assert choose([*undecided, *decided], A_RULE) == decided


def test_zero_parts_is_never():
    assert choose([part(n) for n in range(9)], Rule(0, 100, 1000, 0)) == []


parts = st.lists(st.builds(part, st.integers(0, 50), st.integers(1, 150), decided=st.booleans()))


@given(parts, st.integers(0, 6), st.integers(50, 400))
def test_what_is_chosen_keeps_to_the_rule(given_parts, least, most):
    rule = Rule(least, 100, most, 0)
    found = choose(given_parts, rule)
    assert not found or len(found) >= max(least, 2)
    assert all(each.length < rule.below_bytes for each in found)
    assert sum(each.length for each in found) <= most
    assert len({each.decided for each in found}) <= 1
    if not found and least:
        for kind in (False, True):
            few = [each for each in given_parts if each.decided is kind and each.length < 100]
            assert len(few) < max(least, 2) or sum(each.length for each in few) > most


def test_a_series_with_few_parts_is_not_noted(site):
    in_parts(site, phantom(4), count=2)
    assert job(site) is None


def test_a_series_rests_until_no_part_of_it_was_published_for_a_while(site):
    small(site)
    own = merger(site)
    assert not own.run_once()
    site.clock.pass_seconds(50)
    site.publish(phantom(7)[6:])
    consider(site)
    site.clock.pass_seconds(30)  # the first parts are old by now, the last one is not
    assert not own.run_once()
    assert len(records(site)) == 4
    assert merge(site) == 1
    assert len(records(site)) == 1
    assert site.rows(merge_job) == []


def test_a_series_on_hold_stays_as_it_is(site):
    whose = What(patient_key=patient_key(site, small(site)[0]))
    with site.engine.begin() as connection:
        number = holds.add(connection, whose, "a lawsuit", "somebody", site.clock())
    before = records(site)
    assert merge(site) == 0
    assert records(site) == before
    with site.engine.begin() as connection:
        holds.end(connection, number)
    site.clock.pass_seconds(7 * 3600)
    assert merge(site) == 1
    assert len(records(site)) == 1


def test_a_merged_part_counts_as_one_small_part(site):
    small(site)
    assert merge(site) == 1
    site.publish(phantom(7)[6:])
    consider(site)
    assert job(site) is None
    site.publish(phantom(8)[7:])
    consider(site)
    assert merge(site) == 1
    assert len(records(site)) == 1


def test_nothing_is_noted_where_the_rule_says_never(site):
    small(site)
    with site.engine.begin() as connection:
        connection.execute(merge_job.delete())
    consider(site, Rule(0, RULE.below_bytes, RULE.most_bytes, 0))
    assert job(site) is None
