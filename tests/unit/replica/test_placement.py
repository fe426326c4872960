from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica.placement import Place, Rule, in_order
from storage_nodes.names import ObjectName

names = st.from_regex(r"[a-z0-9]{1,12}/[a-z0-9]{1,12}", fullmatch=True).map(ObjectName)
node_names = st.text("abcdefghij0123456789", min_size=1, max_size=6)
sites = st.sampled_from(["east", "west", "north"])
fleets = st.dictionaries(node_names, sites, min_size=1, max_size=9).map(
    lambda found: [Place(node, site) for node, site in found.items()]
)


@given(names, fleets, st.randoms())
def test_every_gateway_computes_the_same(name, places, random):
    shuffled = list(places)
    random.shuffle(shuffled)
    assert in_order(name, places) == in_order(name, shuffled)


@given(names, fleets)
def test_every_place_comes_once(name, places):
    assert Counter(in_order(name, places)) == Counter(places)


@given(names, fleets)
def test_no_site_has_its_second_copy_before_every_site_had_its_first(name, places):
    ordered = in_order(name, places)
    number = len({place.site for place in places})
    assert len({place.site for place in ordered[:number]}) == number


@given(names, fleets, st.lists(sites, max_size=4))
def test_sites_that_hold_copies_wait_for_those_that_hold_fewer(name, places, held):
    first = in_order(name, places, held)[0]
    fewest = min(held.count(place.site) for place in places)
    assert held.count(first.site) == fewest


@given(names, st.sets(node_names, min_size=2, max_size=9), st.integers(1, 3))
def test_a_new_node_only_takes_and_never_shuffles(name, nodes, copies):
    *old, new = (Place(node, "here") for node in sorted(nodes))
    before = set(in_order(name, old)[:copies])
    after = set(in_order(name, [*old, new])[:copies])
    assert after - before <= {new}


def sorted_places(count):
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
    ],
)
def test_what_a_rule_misses(rule, held, missing):
    assert rule.missing(held) == missing


@pytest.mark.parametrize(("copies", "quorum", "sites_wanted"), [(2, 3, 1), (2, 0, 1), (2, 1, 3), (2, 1, 0)])
def test_a_rule_that_cannot_be_met_is_refused(copies, quorum, sites_wanted):
    with pytest.raises(ValueError, match="lies between"):
        Rule(copies, quorum, sites_wanted)
