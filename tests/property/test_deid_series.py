"""What an engine remembers never shows: an instance comes out as from an engine that has seen nothing."""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deid.elements import UNDEFINED, detect_encoding, elements, encoding_of
from deid.engine import Deidentifier, Published
from deid.profile import Profile
from tests.corpus import corpus_root
from tests.tools import files
from tests.unit.deid.engine.build import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    SECRETS,
    dataset,
    deidentifier,
    el,
    pixels,
)

OPTIONS = [
    ("modified-dates",),
    (),
    ("modified-dates", "safe-private", "patient-characteristics", "device-identity", "clean-descriptors"),
    ("full-dates", "coarse-times", "safe-private", "institution", "retain-uids", "clean-structured-content"),
]
CASES = int(os.environ.get("DGIS_TEST_MUTATIONS", "300"))
SOME = 12  # instances of a corpus series: enough for what it remembers to be used, and for orders to differ


def engine(options):
    return Deidentifier(Profile.named("basic", options), SECRETS, "Demo Hospital")


def outcome(form):
    """All that an engine says of an instance, in values that can be compared."""
    if not isinstance(form, Published):
        return form
    said = {name: getattr(form, name) for name in form.__slots__ if name != "report"}
    return said | {"actions": form.report.actions()}


def assert_nothing_shows(data, syntax, shared, options):
    mine = outcome(shared.deidentify(data, syntax, INSTANCE))
    assert mine == outcome(engine(options).deidentify(data, syntax, INSTANCE))


def changed(data, syntax, choose):
    """A data set with one or two top level values changed, emptied or left out, as another image has them."""
    encoding = detect_encoding(data, encoding_of(syntax))
    header = [one for one in elements(data, encoding) if one.tag < 0x7FE00000 and one.length != UNDEFINED]
    for element in sorted(choose.sample(header, min(2, len(header))), reverse=True):
        raw = data[element.start : element.end]
        size = element.value - element.start
        match choose.choice(["value", "empty", "gone", "length"]):
            case "value":
                raw = raw[:size] + bytes(choose.choice(b" 0123456789AZ") for _ in raw[size:])
            case "empty" if not encoding.implicit and size == 8:
                raw = raw[:6] + b"\0\0"
            case "gone":
                raw = b""
            case "length":
                raw = raw[: size - 1] + b"\x01" + raw[size:]
            case _:
                pass
        data = data[: element.start] + raw + data[element.end :]
    return data


def series_of_the_corpus():
    root = corpus_root()
    return [] if root is None else sorted(path for path in (root / "series").iterdir() if path.is_dir())


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("series", series_of_the_corpus(), ids=lambda path: path.name)
def test_series_of_the_corpus_in_any_order_and_with_other_values(series, options):
    choose = random.Random(series.name)
    paths = sorted(series.iterdir())
    read = [files.read(path) for path in choose.sample(paths, min(SOME, len(paths)))]
    shared = engine(options)
    for file in read:
        assert_nothing_shows(file.dataset, file.transfer_syntax, shared, options)
        for _ in range(2):
            mutant = changed(file.dataset, file.transfer_syntax, choose)
            assert_nothing_shows(mutant, file.transfer_syntax, shared, options)


def values(syntax):
    """Elements a header may have, several values each; None where it may lack them."""
    order = "big" if syntax == BIG_ENDIAN else "little"

    def number(value):
        return el(0x00280106, "US", value.to_bytes(2, order), syntax=syntax)

    def text(tag, vr, *choices):
        return [el(tag, vr, one, syntax=syntax) for one in choices]

    broken = el(0x00081140, "SQ", b"\xfe\xff\0\xe0\xff\xff\0\0", syntax=syntax)
    cited = [[el(0x00081155, "UI", f"1.2.{one}", syntax=syntax)] for one in (1, 2)]
    return [
        [None, *text(0x00080005, "CS", "ISO_IR 100", "ISO_IR 192")],
        [None, *text(0x00080020, "DA", "20200301", "20200302", "x")],
        [None, *text(0x00080070, "LO", "SIEMENS", "Dr. Doe")],
        [None, *text(0x00080100, "SH", "T-A0100"), *text(0x00080102, "SH", "SRT", "99DOE")],
        [None, broken, *(el(0x00081140, "SQ", [one], syntax=syntax) for one in cited)],
        [None, el(0x00081140, "SQ", [*cited], syntax=syntax, undefined=True)],
        [None, *text(0x00100010, "PN", "DOE^JANE", "ROE", " ")],
        [None, *text(0x00100020, "LO", "4711", "0815", "")],
        [None, *text(0x00120062, "CS", "YES", "NO")],
        [None, *text(0x00190010, "LO", "SIEMENS MR HEADER", "GEMS_ACQU_01")],
        [None, *text(0x0019100C, "IS", "0", "1000", "DOE")],
        [None, *text(0x001910BB, "DS", "0.5", "-0.5")],
        [None, *text(0x0020000D, "UI", "1.2.3", "1.2.4", "")],
        [None, *text(0x00200013, "IS", "1", "2", "3")],
        [None, number(1), number(2)],
        [None, *text(0x00280301, "CS", "NO", "YES")],
        [None, *text(0x00280303, "CS", "MODIFIED", "UNMODIFIED")],
        [None, *text(0xFFFCFFFC, "OB", "x", "yz")],
    ]


@st.composite
def images(draw):
    """A syntax, options, and the data sets of images that differ in some values."""
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
    kinds = values(syntax)
    image = st.tuples(*(st.sampled_from(kind) for kind in kinds))
    before = draw(image)
    found = [before]
    for _ in range(draw(st.integers(1, 8))):
        # Mostly alike, as images of a series are: a few values are drawn anew.
        anew = draw(st.sets(st.integers(0, len(kinds) - 1), max_size=3))
        other = draw(image)
        before = tuple(other[place] if place in anew else one for place, one in enumerate(before))
        found.append(before)
    side = draw(st.sampled_from([[1, 2, 3, 4], [1, 2]]))
    return syntax, draw(st.sampled_from(OPTIONS)), [
        dataset(*filter(None, one), *pixels(side, syntax=syntax), syntax=syntax) for one in found
    ]  # fmt: skip


@given(images())
@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_images_alike_but_for_some_values(case):
    syntax, options, instances = case
    shared = engine(options)
    for data in instances:
        assert_nothing_shows(data, syntax, shared, options)


def test_an_engine_lives_long():
    """The bound on elements is that of one instance, not of all that were seen."""
    shared = deidentifier()
    items = [[el(0x00081155, "UI", f"1.2.{number}")] for number in range(400)]
    for number in range(1400):
        data = dataset(el(0x00081140, "SQ", [[el(0x00081155, "UI", f"1.3.{number}")], *items]))
        assert isinstance(shared.deidentify(data, EXPLICIT, INSTANCE), Published)
