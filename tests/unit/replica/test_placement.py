import math
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica.placement import Place, Rule, chosen, in_order, why_impossible
from storage_nodes.names import ObjectName

names = st.from_regex(r"[a-z0-9]{1,12}/[a-z0-9]{1,12}", fullmatch=True).map(ObjectName)
node_names = st.text("abcdefghij0123456789", min_size=1, max_size=6)
sites = st.sampled_from(["east", "west", "north"])
kinds = st.sampled_from(["folder", "s3"])
traits = st.tuples(sites, kinds, st.sampled_from([0.5, 1.0, 4.0]))


def places_of(found):
    return [Place(node, *rest) for node, rest in found.items()]


fleets = st.dictionaries(node_names, traits, min_size=1, max_size=9).map(places_of)


@st.composite
def rules(draw):
    copies = draw(st.integers(1, 4))
    of_s3 = draw(st.integers(0, copies))
    of_folder = draw(st.integers(0, copies - of_s3))
    node_kinds = tuple((kind, n) for kind, n in (("s3", of_s3), ("folder", of_folder)) if n)
    return Rule(copies, 1, draw(st.integers(1, copies)), node_kinds)


def satisfied_by_some(rule, places):
    """The slow oracle: look at every set of so many places."""
    return any(not rule.missing(some) for some in combinations(places, rule.copies))


@given(names, fleets, rules(), st.randoms())
def test_every_gateway_computes_the_same(name, places, rule, random):
    shuffled = list(places)
    random.shuffle(shuffled)
    assert in_order(name, places, (), rule) == in_order(name, shuffled, (), rule)


@given(names, fleets, rules())
def test_every_place_comes_once(name, places, rule):
    assert Counter(in_order(name, places, (), rule)) == Counter(places)


@given(names, fleets, rules())
def test_the_rule_is_kept_whenever_it_can_be(name, places, rule):
    if satisfied_by_some(rule, places):
        assert rule.missing(chosen(name, places, rule)) == 0


@given(fleets, rules())
def test_words_are_found_exactly_for_what_cannot_be(places, rule):
    assert (why_impossible(rule, places) is None) == satisfied_by_some(rule, places)


@given(names, fleets, rules(), st.data())
def test_copies_that_lie_badly_are_added_to_until_the_rule_is_kept(name, places, rule, data):
    held = data.draw(st.lists(st.sampled_from(places), unique=True, max_size=rule.copies))
    left = [place for place in places if place not in held]
    have, order = list(held), iter(in_order(name, left, held, rule))
    while rule.missing(have) and (place := next(order, None)) is not None:
        have.append(place)
    if not rule.missing(places):
        fewest = next(
            number
            for number in range(len(left) + 1)
            if any(not rule.missing([*held, *some]) for some in combinations(left, number))
        )
        assert len(have) == len(held) + fewest


@given(names, fleets)
def test_no_site_has_its_second_copy_before_every_site_had_its_first(name, places):
    ordered = in_order(name, places)
    number = len({place.site for place in places})
    assert len({place.site for place in ordered[:number]}) == number


@given(names, fleets, st.lists(sites, max_size=4))
def test_sites_that_hold_copies_wait_for_those_that_hold_fewer(name, places, held):
    first = in_order(name, places, [Place("-", site) for site in held])[0]
    fewest = min(held.count(place.site) for place in places)
    assert held.count(first.site) == fewest


by_site = st.builds(lambda copies, n: Rule(copies, 1, min(copies, n)), st.integers(1, 4), st.integers(1, 3))


@given(names, fleets.filter(lambda found: len(found) > 1), by_site)
def test_a_new_node_only_takes_and_never_shuffles(name, places, rule):
    *old, new = places
    before, after = set(chosen(name, old, rule)), set(chosen(name, places, rule))
    assert after - before <= {new}
    if new not in after:
        assert after == before


@given(names, fleets.filter(lambda found: len(found) > 1), rules())
def test_with_kinds_too_a_new_node_that_is_not_chosen_changes_nothing(name, places, rule):
    *old, new = places
    if satisfied_by_some(rule, old):
        before, after = set(chosen(name, old, rule)), set(chosen(name, places, rule))
        assert len(after - before) <= 2  # the new one, and one that gives what it took the place of
        assert new in after or after == before


def sorted_places(count, **weights):
    return [Place(f"node-{number}", "here") for number in range(count)]


def test_a_new_node_takes_its_share_from_all_alike():
    objects = [ObjectName(f"record/{number}") for number in range(3000)]
    before = {name: in_order(name, sorted_places(9))[0] for name in objects}
    after = {name: in_order(name, sorted_places(10))[0] for name in objects}
    moved = [name for name in objects if before[name] != after[name]]
    assert 0.07 < len(moved) / len(objects) < 0.13
    losses = Counter(before[name].node for name in moved)
    assert len(losses) == 9
    shares = Counter(place.node for place in after.values())
    assert max(shares.values()) < 1.3 * min(shares.values())


def test_a_node_of_twice_the_weight_gets_twice_as_many():
    objects = [ObjectName(f"record/{number}") for number in range(4000)]
    places = [Place("small", "here"), Place("large", "here", weight=2.0)]
    shares = Counter(in_order(name, places)[0].node for name in objects)
    assert math.isclose(shares["large"] / shares["small"], 2, rel_tol=0.15)


@pytest.mark.parametrize(
    ("rule", "held", "missing"),
    [
        (Rule(3, 2), [], 3),
        (Rule(3, 2), ["east"], 2),
        (Rule(3, 2), ["east"] * 3, 0),
        (Rule(3, 2, sites=2), ["east"] * 3, 1),
        (Rule(3, 2, sites=2), ["east", "east"], 1),
        (Rule(3, 2, sites=2), ["east", "west", "west", "west"], 0),
        (Rule(2, 1, sites=2), ["east"], 1),
        (Rule(3, 2, node_kinds=(("s3", 1),)), ["east"] * 3, 1),
        (Rule(3, 2, node_kinds=(("s3", 2),)), ["east"] * 2, 2),
        (Rule(3, 2, node_kinds=(("folder", 2),)), ["east"] * 3, 0),
    ],
)
def test_what_a_rule_misses(rule, held, missing):
    assert rule.missing([Place("-", site) for site in held]) == missing


@pytest.mark.parametrize(("copies", "quorum", "sites_wanted"), [(2, 3, 1), (2, 0, 1), (2, 1, 3), (2, 1, 0)])
def test_a_rule_that_cannot_be_met_is_refused(copies, quorum, sites_wanted):
    with pytest.raises(ValueError, match="lies between"):
        Rule(copies, quorum, sites_wanted)


def test_more_nodes_of_kinds_than_copies_are_refused():
    with pytest.raises(ValueError, match="node_kinds"):
        Rule(2, 1, node_kinds=(("s3", 2), ("folder", 1)))
