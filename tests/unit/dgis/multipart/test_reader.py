"""The multipart reader: what a body may look like, and what it may not."""

import logging
import tracemalloc

import pytest

from dgis.multipart.errors import MultipartError
from dgis.multipart.media import boundary_of, media_type
from dgis.multipart.reader import Bounds, MultipartReader, PartBegins, PartEnds


def parts_of(body, boundary=b"xyz", bounds=None, piece=None):
    """Read a whole body; return fields and data of each part."""
    reader = MultipartReader(boundary, bounds)
    found = []
    for start in range(0, len(body), piece or len(body) or 1):
        for event in reader.feed(body[start : start + (piece or len(body))]):
            if isinstance(event, PartBegins):
                found.append([dict(event.fields), b"", False])
            elif isinstance(event, PartEnds):
                found[-1][2] = True
            else:
                found[-1][1] += event
    reader.finish()
    assert all(complete for _fields, _data, complete in found)
    return [(fields, data) for fields, data, _complete in found]


PLAIN = b"--xyz\r\nContent-Type: application/dicom\r\n\r\none\r\n--xyz\r\n\r\n\r\ntwo\r\n\r\n--xyz--"


@pytest.mark.parametrize("piece", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        b"\r\n" + PLAIN,
        b"a preamble\r\nof --xyzzy lines\r\n" + PLAIN + b"\r\nand an epilogue --xyz\r\n",
        PLAIN.replace(b"--xyz\r\n", b"--xyz \t\r\n"),
    ],
    ids=["plain", "line before", "preamble and epilogue", "padding"],
)
def test_a_body_is_the_parts_between_its_boundaries(body, piece):
    assert parts_of(body, piece=piece) == [
        ({"content-type": "application/dicom"}, b"one"),
        ({}, b"\r\ntwo\r\n"),
    ]


def test_data_may_look_like_a_boundary_for_a_while():
    data = b"\r\n--xy\r\n--xyz-\r\n--xyzz\r\n--xyz\r \r\n-"
    body = b"--xyz\r\n\r\n" + data + b"\r\n--xyz--\r\n"
    for piece in (None, 1, 4):
        assert parts_of(body, piece=piece) == [({}, data)]


def test_a_body_may_have_no_part():
    assert parts_of(b"--xyz--") == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ends before"),
        (b"--xyz\r\n\r\nabc", "ends before"),
        (b"--xyz\r\n\r\nabc\r\n--xyz\r\n", "ends before"),
        (b"--xyz\r\n\r\nabc\r\n--xyz-", "ends before"),
        (b"--abc\r\n\r\nabc\r\n--abc--", "ends before"),
        (b"--abc\r\n" + bytes(70_000), "not the announced"),
        (b"--xyz\r\nno colon\r\n\r\n", "malformed"),
        (b"--xyz\r\nA: b\r\n folded\r\n\r\n", "malformed"),
        (b"--xyz\r\nA: " + bytes(5000) + b"\r\n\r\n", "malformed"),
        (b"--xyz\r\n" + b"".join(b"A%d: b\r\n" % each for each in range(20)) + b"\r\n", "malformed"),
        (b"--xyz\r\nA: b\r\na: c\r\n\r\n", "twice"),
        (b"--xyz\r\nContent-Type: Multipart/mixed; boundary=q\r\n\r\n", "multipart body itself"),
        (b"--xyz\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", "transfer encoding"),
        (b"--xyz\r\n\r\n" + b"\r\n--xyz\r\n\r\n" * 9, "too many"),
    ],
)
def test_what_is_no_multipart_body_is_refused_in_words_of_ours(body, words):
    for piece in (None, 1):
        with pytest.raises(MultipartError, match=words):
            parts_of(body, bounds=Bounds(parts=8), piece=piece)


def test_what_came_before_an_error_is_given_and_nothing_after_it():
    reader = MultipartReader(b"xyz")
    events = reader.feed(b"--xyz\r\n\r\none\r\n--xyz\r\nbad\r\n\r\ntwo\r\n--xyz--")
    assert [bytes(each) if isinstance(each, memoryview) else type(each) for each in events] == [
        PartBegins,
        b"one",
        PartEnds,
    ]
    for call in (lambda: reader.feed(b"more"), reader.finish):
        with pytest.raises(MultipartError):
            call()


def test_data_is_a_view_and_nothing_is_gathered():
    reader = MultipartReader(b"xyz")
    reader.feed(b"--xyz\r\n\r\n")
    piece = bytes(1 << 20)
    (event,) = reader.feed(piece)
    assert event.obj is piece
    tracemalloc.start()
    for _ in range(64):
        reader.feed(piece)
    assert tracemalloc.get_traced_memory()[1] < 1 << 19
    tracemalloc.stop()


def test_nothing_of_a_body_reaches_a_log(caplog):
    with caplog.at_level(logging.DEBUG):
        reader = MultipartReader(b"xyz")
        reader.feed(b"--xyz\r\nPATIENT DOE\r\n\r\n")
    with pytest.raises(MultipartError) as caught:
        reader.finish()
    assert not caplog.records
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related;boundary="a b:c"; type=x', b"a b:c"),
        ("multipart/related; BOUNDARY=" + "a" * 128, b"a" * 128),
    ],
)
def test_the_boundary_stands_in_the_media_type(value, boundary):
    assert media_type(value).name == "multipart/related"
    assert boundary_of(media_type(value)) == boundary


@pytest.mark.parametrize(
    "value",
    [
        "multipart/related",
        "multipart/related; boundary=",
        "multipart/related; boundary=" + "a" * 129,
        'multipart/related; boundary="a "',
        'multipart/related; boundary="a\r\nb"',
        "multipart/related; boundary=a\xe4",
        "multipart/related; boundary=" + "a" * 5000,
    ],
)
def test_a_boundary_that_rfc_2046_does_not_allow_is_none(value):
    with pytest.raises(MultipartError):
        boundary_of(media_type(value))


def test_parameters_are_had_without_their_quotes():
    kind = media_type('application/dicom; transfer-syntax="1.2.840.10008.1.2.1"')
    assert (kind.name, kind.parameters["transfer-syntax"]) == ("application/dicom", "1.2.840.10008.1.2.1")
    assert media_type("").name == ""
