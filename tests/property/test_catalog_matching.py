"""Matching in SQL agrees with a slow reading of DICOM PS3.4 C.2.2.2, on both engines."""

import re
import unicodedata
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.catalog.world import STUDY, Image, World, alpha, open_engine

# ---- a slow reader of the standard, sharing nothing with the catalog -------------------------------------


def like(pattern, value):
    expression = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def fold(name):
    parts = [" ".join(part.split()) for part in unicodedata.normalize("NFKC", name).casefold().split("^")]
    while parts and not parts[-1]:
        parts.pop()
    return "^".join(parts)


def text_matches(asked, value):
    return any(like(each, value) if "*" in each or "?" in each else each == value for each in asked)


def name_matches(asked, value):
    groups = [fold(part) for part in value.split("=")] + ["", "", ""]
    for each in asked:
        if "=" in each:
            wanted = [fold(part) for part in each.split("=")]
            if all(not part or like(part, groups[place]) for place, part in enumerate(wanted)):
                return True
        else:
            patterns = {fold(each)}
            while "".join(patterns).endswith("^*") and len(patterns) == 1:
                (pattern,) = patterns
                shorter = re.sub(r"(\^\**)+$", "", pattern)
                patterns = {pattern, shorter}
            if any(pattern and like(pattern, group) for pattern in patterns for group in groups if group):
                return True
    return False


def date_matches(asked, value):
    for each in asked:
        low, dash, high = each.partition("-")
        if value and (low or "0") <= value <= ((high or "9") if dash else low):
            return True
    return False


def microseconds(value, *, end=False):
    whole, _dot, fraction = value.partition(".")
    hours, minutes, seconds = whole[:2], whole[2:4], whole[4:6]
    start = ((int(hours) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 10**6
    start += int(fraction.ljust(6, "0")) if fraction else 0
    if not end:
        return start
    if fraction:
        return start + 10 ** (6 - len(fraction)) - 1
    return start + (1 if seconds else 60 if minutes else 3600) * 10**6 - 1


def time_matches(asked, value):
    for each in asked:
        low, dash, high = each.partition("-")
        high = high if dash else low
        after = not low or (value and microseconds(value) >= microseconds(low))
        before = not high or (value and microseconds(value) <= microseconds(high, end=True))
        if value and after and before:
            return True
    return False


def word_matches(asked, value):
    def words(name):
        plain = unicodedata.normalize("NFKD", name).casefold()
        return re.split(r"[\W_]+", "".join(each for each in plain if not unicodedata.combining(each)))

    there = words(value)
    for each in asked:
        wanted = [word for word in words(each) if word]
        if wanted and all(any(have.startswith(word) for have in there) for word in wanted):
            return True
    return False


# ---- what is stored ----------------------------------------------------------------------------------------

NAMES = [
    "",
    "Smith^John",
    "SMITH^JOHN^^Dr",
    "Smith",
    "Smithers^J",
    "smi%th^j_n",
    "O'Brien^[x]",
    "Müller^Jörg",
    "Muller^Jorg",
    "Strauß^A",
    "van der Berg^An na",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^花子",
    "^Only Given",
    "A*B^Star",
    "Ж^Я",
]
TEXTS = ["", "CHEST", "chest", "CHEST 2", "100%", "1_0", "a[b]c", "A?B", "é", "it's", "A*", "CH"]
DATES = ["", "19991231", "20000101", "20000115", "20000131", "20240229"]
TIMES = ["", "00", "10", "1015", "101500", "101500.5", "101500.500000", "101559.999999", "1016", "235959.9"]
NUMBERS = [None, 0, 1, 2, 10, 2147483647]
LISTS = [(), ("Op^A",), ("Op^A", "Op^B=山田"), ("OP^C", "X")]


@dataclass(frozen=True)
class Stored:
    uid: str
    name: str
    text: str
    date: str
    time: str
    operators: tuple


def _spread(values, count):
    return [values[(n * 7 + n // len(values)) % len(values)] for n in range(count)]


ALL = [
    Stored(f"1.2.{n}", *row)
    for n, row in enumerate(
        zip(*(_spread(values, 90) for values in (NAMES, TEXTS, DATES, TIMES, LISTS)), strict=True)
    )
]


def _image(stored):
    values = {
        "StudyDescription": stored.text,
        "StudyDate": stored.date,
        "StudyTime": stored.time,
        "OperatorsName": list(stored.operators) or None,
    }
    return Image(
        f"9.{stored.uid}",
        study=stored.uid,
        series=f"8.{stored.uid}",
        patient=stored.uid,
        name=stored.name,
        values=values,
    )


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request, tmp_path_factory):
    if request.param == "sqlite":
        yield from _populated(f"sqlite:///{tmp_path_factory.mktemp('catalog') / 'catalog.db'}")
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield from _populated(url)


def _populated(url):
    engine = open_engine(url)
    world = World(engine)
    world.store(*(_image(stored) for stored in ALL))
    yield world
    engine.dispose()


# ---- what is asked -----------------------------------------------------------------------------------------


@st.composite
def patterns(draw, values):
    """A stored value, or a piece of one, with wildcards put in and cases changed."""
    value = draw(st.sampled_from([each for each in values if each]))
    if draw(st.booleans()):
        start = draw(st.integers(0, len(value)))
        value = (
            value[:start] + draw(st.sampled_from(["*", "?", ""])) + value[start + draw(st.integers(0, 3)) :]
        )
    if draw(st.booleans()):
        value += draw(st.sampled_from(["*", "?", "^", "^*", "%", "_", "", " "]))
    return draw(st.sampled_from([value, value.upper(), value.lower(), value]))


def ranges(values):
    bound = st.sampled_from([value for value in values if value])
    return (
        bound
        | st.builds("{}-{}".format, bound, bound)
        | st.builds("{}-".format, bound)
        | st.builds("-{}".format, bound)
    )


def asked(strategy):
    """One or two values of a key; backslashes would part them, and a lone `*` asks for nothing."""
    sane = strategy.filter(lambda value: value.strip(" *^=") and value.strip() == value)
    return st.lists(sane, min_size=1, max_size=2)


MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def agree(world, keyword, values, matches, **options):
    found = world.find(alpha, STUDY, "StudyInstanceUID", **{keyword: values}, **options)
    assert {match.values["StudyInstanceUID"] for match in found} == {
        stored.uid for stored in ALL if matches(values, stored)
    }


@MANY
@given(values=asked(patterns(TEXTS)))
def test_text(world, values):
    agree(world, "StudyDescription", values, lambda asked, stored: text_matches(asked, stored.text))


@MANY
@given(values=asked(patterns([*NAMES, "山田^*", "=山田^太郎", "Smith^John="])))
def test_names(world, values):
    agree(world, "PatientName", values, lambda asked, stored: name_matches(asked, stored.name))


@MANY
@given(values=asked(patterns(NAMES)))
def test_fuzzy_names(world, values):
    bare = [value.replace("*", "").replace("?", "") for value in values]
    agree(world, "PatientName", bare, lambda asked, stored: word_matches(asked, stored.name), fuzzy=True)


@MANY
@given(values=asked(ranges([*DATES, "20000116", "19000101"])))
def test_dates(world, values):
    agree(world, "StudyDate", values, lambda asked, stored: date_matches(asked, stored.date))


@MANY
@given(values=asked(ranges([*TIMES, "101500.4", "1014", "23"])))
def test_times(world, values):
    agree(world, "StudyTime", values, lambda asked, stored: time_matches(asked, stored.time))


@MANY
@given(
    first=st.sampled_from(DATES[1:]),
    last=st.sampled_from(DATES[1:]),
    begin=st.sampled_from(TIMES[1:]),
    end=st.sampled_from(TIMES[1:]),
)
def test_a_date_and_a_time_as_one_moment(world, first, last, begin, end):
    def within(_asked, stored):
        if not stored.date:
            return False
        at = (stored.date, microseconds(stored.time) if stored.time else -1)
        return (first, microseconds(begin)) <= at <= (last, microseconds(end, end=True))

    options = {"StudyTime": f"{begin}-{end}", "combined_datetime": True}
    agree(world, "StudyDate", [f"{first}-{last}"], within, **options)


@MANY
@given(values=st.lists(st.sampled_from([stored.uid for stored in ALL] + ["7.7"]), min_size=1, max_size=5))
def test_lists_of_uids(world, values):
    agree(world, "StudyInstanceUID", values, lambda asked, stored: stored.uid in asked)


@MANY
@given(values=asked(patterns(["Op^A", "op^b", "山田", "X", "OP^C"])))
def test_names_of_several(world, values):
    """At series level, where each series is the only one of its study."""
    found = world.find(alpha, STUDY.__class__.SERIES, "StudyInstanceUID", OperatorsName=values)
    assert {match.values["StudyInstanceUID"] for match in found} == {
        stored.uid
        for stored in ALL
        if any(name_matches(values, name) for name in stored.operators)
        and not any("=" in value for value in values)
    }
