import pytest

from catalog.matching import Between, Equals, Grouped, Moment, Wildcard, Words, parse
from catalog.query import Fault, InvalidQuery, Key, Level, Query, Root


def conditions(keyword, *values, **options):
    """The alternatives of the one criterion a key makes; None where it makes none."""
    level = options.pop("level", Level.IMAGE)
    tree = parse(Query(Root.PATIENT, level, (Key(keyword, values),), relational=True, **options))
    return tree.criteria[0].any_of if tree.criteria else None


@pytest.mark.parametrize(
    ("keyword", "values", "expected"),
    [
        ("PatientID", (), None),
        ("PatientID", ("",), None),
        ("PatientID", ("*",), None),
        ("PatientID", ("**",), None),
        ("PatientID", ("A1 ",), (Equals(("A1",)),)),
        ("PatientID", ("A*", "B"), (Equals(("B",)), Wildcard("A*"))),
        ("PatientID", ("A**B",), (Wildcard("A*B"),)),
        ("PatientID", ("A", "*"), None),
        ("StudyInstanceUID", ("1.2", "1.3", "1.2"), (Equals(("1.2", "1.3")),)),
        ("StudyInstanceUID", ("*",), None),
        ("StudyDate", ("20240101",), (Equals(("20240101",)),)),
        ("StudyDate", ("2024.01.01",), (Equals(("20240101",)),)),
        ("StudyDate", ("20240101-",), (Between("20240101", None),)),
        ("StudyDate", ("-20240101",), (Between(None, "20240101"),)),
        ("StudyDate", ("20240101 - 20240131",), (Between("20240101", "20240131"),)),
        ("StudyTime", ("10",), (Between("10", "105959.999999"),)),
        ("StudyTime", ("100000",), (Between("10", "100000.999999"),)),
        ("StudyTime", ("101500.50-1200",), (Between("101500.5", "120059.999999"),)),
        ("StudyTime", ("-101500.5",), (Between(None, "101500.599999"),)),
        ("InstanceNumber", (" 7 ", "+8"), (Equals((7, 8)),)),
        ("PatientWeight", ("70",), None),
        ("PatientName", ("SMITH^JOHN",), (Equals(("smith^john",)),)),
        ("PatientName", ("Smith^",), (Equals(("smith",)),)),
        ("PatientName", ("Smith^*",), (Equals(("smith",)), Wildcard("smith^*"))),
        ("PatientName", ("A=B*",), (Grouped((Equals(("a",)), Wildcard("b*"))),)),
        ("PatientName", ("=B",), (Grouped((None, Equals(("b",)))),)),
        ("PatientName", ("=",), None),
    ],
)
def test_a_key_asks_for(keyword, values, expected):
    assert conditions(keyword, *values) == expected


def test_fuzzy_names_are_words():
    assert conditions("PatientName", "M\u00fcl^jo", fuzzy=True) == (Words(("mul", "jo")),)
    assert conditions("PatientName", "^", fuzzy=True) is None
    assert conditions("StudyDescription", "CHE*", fuzzy=True) == (Wildcard("CHE*"),)


def test_a_date_and_a_time_are_one_moment_only_when_negotiated():
    keys = (Key("StudyDate", ("20240101-20240103",)), Key("StudyTime", ("1000-1200",)))
    apart = parse(Query(Root.STUDY, Level.STUDY, keys))
    joined = parse(Query(Root.STUDY, Level.STUDY, keys, combined_datetime=True))
    assert (len(apart.criteria), apart.moments) == (2, ())
    assert joined.criteria == ()
    (moment,) = joined.moments
    assert isinstance(moment, Moment)
    assert (moment.low, moment.high) == (("20240101", "10"), ("20240103", "120059.999999"))


@pytest.mark.parametrize(
    ("keyword", "values", "fault"),
    [
        ("StudyDate", ("2024",), Fault.VALUE),
        ("StudyDate", ("2024*",), Fault.VALUE),
        ("StudyDate", ("-",), Fault.VALUE),
        ("StudyDate", ("20240101-20240102-20240103",), Fault.VALUE),
        ("StudyTime", ("noon",), Fault.VALUE),
        ("InstanceNumber", ("one",), Fault.VALUE),
        ("InstanceNumber", ("9" * 30,), Fault.VALUE),
        ("StudyInstanceUID", ("1.2.*",), Fault.VALUE),
        ("PatientID", ("?*" * 20,), Fault.SIZE),
        ("StudyInstanceUID", ("1",) * 100_001, Fault.SIZE),
    ],
)
def test_malformed_values_are_refused(keyword, values, fault):
    with pytest.raises(InvalidQuery) as refused:
        conditions(keyword, *values)
    assert refused.value.fault is fault


def test_a_limit_is_not_negative():
    with pytest.raises(InvalidQuery):
        parse(Query(Root.STUDY, Level.STUDY, limit=-1))


def test_text_that_no_database_holds_is_made_harmless():
    assert conditions("PatientID", "a\0b\ud800") == (Wildcard("ab?"),)


def test_too_many_keys_are_refused():
    with pytest.raises(InvalidQuery):
        parse(Query(Root.STUDY, Level.STUDY, (Key("StudyDate"),) * 1000))


def test_nothing_that_was_asked_for_is_in_a_representation():
    query = Query(Root.STUDY, Level.STUDY, (Key("PatientName", ("Canary", "Ca*", "a=Canary")),))
    assert "anary" not in repr(query) + repr(parse(query))
