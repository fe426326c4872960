"""Whatever headers come one after another, a walker finds in each what the full walk finds."""

import struct
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from deid.alike import Walker
from deid.elements import Encoding, WalkError, elements

_TAGS = (0x00080005, 0x00080016, 0x00080018, 0x00100010, 0x0018A001, 0x0020000D, 0x0020000E, 0x00280010)
_WANTED = (0x00080018, 0x00100010, 0x0020000D, 0x0020000E)
_VRS = (b"UI", b"LO", b"US", b"OB", b"UN", b"SQ", b"ZZ", b"zz")


def encoded(element, encoding):
    tag, vr, value = element
    order = ">" if encoding is Encoding.EXPLICIT_BE else "<"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if encoding is Encoding.IMPLICIT_LE:
        return head + struct.pack("<I", len(value)) + value
    if vr in (b"UI", b"LO", b"US", b"zz"):
        return head + vr + struct.pack(f"{order}H", len(value)) + value
    return head + vr + b"\0\0" + struct.pack(f"{order}I", len(value)) + value


_UNDEFINED = {
    Encoding.IMPLICIT_LE: struct.pack("<HHI", 8, 0x1110, 0xFFFFFFFF),
    Encoding.EXPLICIT_LE: struct.pack("<HH2sHI", 8, 0x1110, b"SQ", 0, 0xFFFFFFFF),
    Encoding.EXPLICIT_BE: struct.pack(">HH2sHI", 8, 0x1110, b"SQ", 0, 0xFFFFFFFF),
}
element_lists = st.lists(
    st.tuples(st.sampled_from(_TAGS), st.sampled_from(_VRS), st.integers(0, 4).map(lambda n: b"1." * n)),
    max_size=12,
)


@st.composite
def series(draw):
    """Several headers of one encoding: alike, with values of other lengths, cut, or quite different."""
    encoding = draw(st.sampled_from(Encoding))
    order = draw(st.sampled_from((sorted, list)))
    first = order(draw(element_lists))
    headers = []
    for _ in range(draw(st.integers(1, 6))):
        own = list(first)
        if own and draw(st.booleans()):
            place = draw(st.integers(0, len(own) - 1))
            own[place] = (own[place][0], own[place][1], b"2." * draw(st.integers(0, 4)))
        if draw(st.integers(0, 4)) == 0:
            own = order(draw(element_lists))
        parts = [encoded(element, encoding) for element in own]
        if draw(st.integers(0, 4)) == 0:
            stop = struct.pack(">HHI" if encoding is Encoding.EXPLICIT_BE else "<HHI", 0xFFFE, 0xE0DD, 0)
            parts.insert(draw(st.integers(0, len(parts))), _UNDEFINED[encoding] + stop)
        data = b"".join(parts)
        headers.append(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data)
    return encoding, headers


def walked(header, encoding, start=0):
    """Places of the wanted elements by the full walk, and whether a tag beyond the last one ended it."""
    found = []
    with suppress(WalkError):
        for element in elements(header, encoding, start):
            if element.tag > max(_WANTED):
                return found, True
            if element.tag in _WANTED:
                found.append((element.tag, element.value, element.length))
    return found, False


@given(series())
def test_a_walker_finds_what_the_full_walk_finds(case):
    encoding, headers = case
    walker = Walker(_WANTED)
    for header in headers * 2:
        begins = walker.walk(memoryview(header), encoding)
        places, over = walked(header, encoding)
        if begins.over:
            # One whose value does not end within the header is beyond all the same: that is all it tells.
            assert list(begins.wanted) == places
            continue
        rest, rest_over = walked(header, encoding, begins.end)
        assert ([*begins.wanted, *rest], rest_over) == (places, over)


def test_what_is_laid_out_alike_is_not_walked_again():
    encoding = Encoding.EXPLICIT_LE
    image = [(tag, b"UI", b"1.2.3.") for tag in _TAGS]
    one = b"".join(encoded(element, encoding) for element in image)
    other = one.replace(b"1.2.3.", b"4.5.6.")
    walker = Walker(_WANTED)
    first = walker.walk(one, encoding)
    second = walker.walk(other, encoding)
    assert second == first
    assert walker.walk(one, encoding) is second
    assert [tag for tag, _value, _length in first.wanted] == list(_WANTED)
    assert first.over
