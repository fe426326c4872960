from itertools import pairwise

import pytest

from deid.elements import (
    MAX_DEPTH,
    MAX_SIBLINGS,
    UNDEFINED,
    Encoding,
    WalkError,
    detect_encoding,
    elements,
    encoding_of,
    items,
)
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, el, item

ENCODINGS = {
    IMPLICIT: Encoding.IMPLICIT_LE,
    EXPLICIT: Encoding.EXPLICIT_LE,
    BIG_ENDIAN: Encoding.EXPLICIT_BE,
}


@pytest.mark.parametrize("syntax", ENCODINGS)
@pytest.mark.parametrize("undefined", [False, True])
def test_walks_one_level_and_steps_over_sequences(syntax, undefined):
    inner = [el(0x00080100, "SH", "T-A0100", syntax=syntax)]
    sequence = el(0x00082218, "SQ", [inner, []], syntax=syntax, undefined=undefined)
    data = dataset(sequence, el(0x00280010, "US", b"\x01\x02", syntax=syntax), syntax=syntax)
    encoding = encoding_of(syntax)
    assert encoding is ENCODINGS[syntax]

    found = list(elements(data, encoding))

    assert [one.tag for one in found] == sorted(one.tag for one in found)
    assert found[0].start == 0
    assert found[-1].end == len(data)
    assert all(one.end == other.start for one, other in pairwise(found))
    nested = next(one for one in found if one.tag == 0x00082218)
    assert nested.vr == "SQ"
    assert (nested.length == UNDEFINED) is undefined
    parts = list(items(data, nested, encoding))
    assert len(parts) == 2
    (code,) = elements(data, parts[0].encoding, parts[0].start, parts[0].stop)
    assert data[code.value : code.end].rstrip() == b"T-A0100"
    assert parts[1].start == parts[1].stop


def test_works_on_views_without_copying():
    data = dataset()
    assert list(elements(memoryview(data), Encoding.EXPLICIT_LE)) == list(
        elements(data, Encoding.EXPLICIT_LE)
    )


@pytest.mark.parametrize("actual", ENCODINGS)
@pytest.mark.parametrize("declared", ENCODINGS)
def test_bytes_decide_over_what_is_declared(actual, declared):
    assert detect_encoding(dataset(syntax=actual), encoding_of(declared)) is ENCODINGS[actual]


def test_nothing_to_see_leaves_what_is_declared():
    assert detect_encoding(b"\x08\x00", Encoding.EXPLICIT_BE) is Encoding.EXPLICIT_BE


@pytest.mark.parametrize("cut", range(1, 22))  # the last element has 22 bytes
def test_cut_bytes_are_an_error_that_holds_no_content(cut):
    data = dataset()[:-cut]
    with pytest.raises(WalkError) as caught:
        list(elements(data, Encoding.EXPLICIT_LE))
    assert "DOE" not in str(caught.value)


def test_a_length_past_the_end_is_not_believed():
    huge = el(0x00100010, "PN", "DOE")[:6] + b"\xf0\xff" + b"DOE "
    with pytest.raises(WalkError):
        list(elements(huge, Encoding.EXPLICIT_LE))


def test_nesting_is_bounded():
    def nested(depth):
        inner = b""
        for _ in range(depth):
            inner = el(0x00082218, "SQ", item(inner, undefined=True), undefined=False)
            inner = inner[:8] + b"\xff\xff\xff\xff" + inner[12:] + b"\xfe\xff\xdd\xe0\0\0\0\0"
        return inner

    assert len(list(elements(nested(MAX_DEPTH // 2), Encoding.EXPLICIT_LE))) == 1
    with pytest.raises(WalkError):
        list(elements(nested(MAX_DEPTH + 1), Encoding.EXPLICIT_LE))
    with pytest.raises(WalkError):
        list(elements(nested(2_000), Encoding.EXPLICIT_LE))


STRAY = [b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"]


@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_delimiters_that_end_nothing_are_stepped_over(stray, syntax):
    encoding = encoding_of(syntax)
    one, other = el(0x00080008, "CS", "A", syntax=syntax), el(0x00100010, "PN", "DOE", syntax=syntax)
    found = list(elements(stray + one + stray + stray + other + stray, encoding))
    assert [(each.tag, each.start) for each in found] == [(0x00080008, 8), (0x00100010, 8 + len(one) + 16)]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_items_and_delimiters_with_a_length_are_refused_outside_a_sequence(syntax):
    for outside in (b"\xfe\xff\0\xe0\0\0\0\0", STRAY[0][:4] + b"\2\0\0\0ab", STRAY[0][:6]):
        with pytest.raises(WalkError):
            list(elements(dataset(syntax=syntax) + outside, encoding_of(syntax)))


def test_unknown_vrs_have_the_long_form_and_scribbles_the_short_one():
    long = b"\x08\x00\x08\x00ZZ\0\0\x02\0\0\0ab"
    short = b"\x08\x00\x08\x00??\x02\0ab"
    for raw in (long, short):
        (one,) = elements(raw, Encoding.EXPLICIT_LE)
        assert (one.vr, raw[one.value : one.end]) == ("UN", b"ab")


def test_inside_un_of_undefined_length_the_encoding_is_implicit():
    inner = el(0x00100010, "PN", "DOE", syntax=IMPLICIT)
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = b"\x08\x00\x18\x22UN\0\0\xff\xff\xff\xff" + item(inner, syntax=IMPLICIT) + end
    (sequence,) = elements(data, Encoding.EXPLICIT_LE)
    (one,) = items(data, sequence, Encoding.EXPLICIT_LE)
    assert one.encoding is Encoding.IMPLICIT_LE
    (name,) = elements(data, one.encoding, one.start, one.stop)
    assert (name.tag, name.vr) == (0x00100010, "PN")


def test_a_level_of_more_elements_than_there_are_tags_to_use_is_refused():
    one = el(0x00091010, "LO", "")
    assert len(list(elements(one * MAX_SIBLINGS, Encoding.EXPLICIT_LE))) == MAX_SIBLINGS
    with pytest.raises(WalkError):
        list(elements(one * (MAX_SIBLINGS + 1), Encoding.EXPLICIT_LE))
