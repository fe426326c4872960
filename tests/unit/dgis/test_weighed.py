from concurrent.futures import ThreadPoolExecutor

import pytest

from dgis.weighed import Weighed


def test_what_was_used_last_stays_within_the_bound():
    made = []
    kept = Weighed(10, len)
    for name, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4)):
        kept.get(name, lambda name=name, size=size: made.append(name) or name * size)
    assert made == ["a", "b", "c", "b"]


def test_what_alone_is_too_heavy_is_given_and_not_kept():
    made = []
    kept = Weighed(3, len)
    for _ in range(2):
        assert kept.get("a", lambda: made.append(1) or "aaaa") == "aaaa"
    assert len(made) == 2


def test_those_who_come_together_have_it_made_once():
    made = []
    kept = Weighed(10, len)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: kept.get("a", lambda: made.append(1) or "a"), range(200)))
    assert len(made) == 1


def test_what_could_not_be_made_is_made_anew():
    kept = Weighed(10, len)
    with pytest.raises(KeyError):
        kept.get("a", {}.popitem)
    assert kept.get("a", lambda: "a") == "a"
