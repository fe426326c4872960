from itertools import chain, combinations

from catalog.callers import PATTERN_FIELDS, Assertions, pattern_key
from catalog.grants import Who


def test_equal_assertions_have_one_canonical_form():
    first = Assertions(user="u", institution=" i ", extra=(("b", "2"), ("a", "1"), ("a", "1")))
    second = Assertions(institution="i", user="u", extra=(("a", "1"), ("b", " 2 ")))
    assert first == second
    assert first.canonical() == second.canonical()
    assert Assertions(user="u").canonical() != Assertions(user="U").canonical()


def test_an_empty_assertion_is_none():
    assert Assertions(user="  ") == Assertions()


def test_the_satisfied_patterns_are_the_subsets_of_what_is_asserted():
    given = {"user": "u", "department": "d", "institution": "i"}
    asserted = Assertions(**given)
    subsets = chain.from_iterable(combinations(given.items(), size) for size in range(len(given) + 1))
    ordered = (tuple(sorted(each, key=_place)) for each in subsets)
    assert set(asserted.satisfied_patterns()) == {pattern_key(each) for each in ordered}
    assert len(list(asserted.satisfied_patterns())) == 8


def test_a_second_role_satisfies_as_the_first_does():
    asserted = Assertions(user="u", role="reader", extra=(("role", "teacher"), ("ward", "3")))
    assert asserted.values("role") == ("reader", "teacher")
    for role in ("reader", "teacher"):
        assert Who(role=role).satisfied_by(asserted)
        assert Who(role=role).key in set(asserted.satisfied_patterns())
    assert not Who(role="3").satisfied_by(asserted)


def test_a_pattern_is_satisfied_by_key_exactly_when_it_is_by_value():
    asserted = Assertions(issuer="i", user="u")
    for who in (Who(), Who(user="u"), Who(user="i"), Who(issuer="i", user="u"), Who(issuer="i", role="r")):
        assert (who.key in set(asserted.satisfied_patterns())) == who.satisfied_by(asserted)


def _place(pair):
    return PATTERN_FIELDS.index(pair[0])
