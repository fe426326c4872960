"""Generated data sets through every encoding and back."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from deid.elements import Encoding, WalkError
from dgis.transcode.dataset import Rewriter
from dgis.transcode.source import Source
from tests.tools.transcoding import differences

_UIDS = {
    Encoding.IMPLICIT_LE: "1.2.840.10008.1.2",
    Encoding.EXPLICIT_LE: "1.2.840.10008.1.2.1",
    Encoding.EXPLICIT_BE: "1.2.840.10008.1.2.2",
}
_text = st.text("ABCabc123", max_size=12)
_words = st.binary(max_size=40).map(lambda raw: raw + b"\0" * (len(raw) % 2))
# Tag, VR, values: one of every kind of word, standard tags so that implicit form keeps the VR.
_KINDS = [
    (0x00080060, "CS", _text.map(str.upper)),
    (0x00080018, "UI", st.just("1.2.3")),
    (0x00100010, "PN", _text),
    (0x00200013, "IS", st.integers(-(2**31), 2**31 - 1)),
    (0x00180050, "DS", st.sampled_from(["1.5", "-2e3", "0"])),
    (0x00280010, "US", st.integers(0, 2**16 - 1)),
    (0x00280009, "AT", st.integers(0, 2**32 - 1)),
    (0x00186020, "SL", st.integers(-(2**31), 2**31 - 1)),
    (0x00089459, "FL", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    (0x00189087, "FD", st.floats(allow_nan=False, allow_infinity=False)),
    (0x00282000, "OB", _words),
    (0x00281201, "OW", _words),
    (0x00660022, "OD", st.binary(max_size=3).map(lambda raw: raw * 8)),
    (0x00081190, "UR", _text),
]


@st.composite
def _datasets(draw, depth=3):
    dataset = Dataset()
    for tag, vr, values in draw(st.lists(st.sampled_from(_KINDS), unique=True)):
        dataset.add_new(tag, vr, draw(values))
    if depth and draw(st.booleans()):
        items = draw(st.lists(_datasets(depth - 1), max_size=3))
        dataset.add_new(0x00081140, "SQ", items)
        dataset[0x00081140].is_undefined_length = draw(st.booleans())
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
    return dataset


def _written(dataset, encoding):
    stream = DicomBytesIO()
    stream.is_little_endian = encoding is not Encoding.EXPLICIT_BE
    stream.is_implicit_VR = encoding.implicit
    write_dataset(stream, dataset)
    return stream.getvalue()


def _read(data, encoding):
    head = b"\0" * 128 + b"DICM"
    uid = _UIDS[encoding].encode() + b"\0" * (len(_UIDS[encoding]) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return dcmread(io.BytesIO(head + meta + data))


def _rewritten(data, encoding, target, step):
    pieces = (data[start : start + step] for start in range(0, len(data), step))
    return b"".join(map(bytes, Rewriter(Source(pieces), encoding, target).pieces()))


@given(
    _datasets(),
    st.sampled_from(list(_UIDS)),
    st.sampled_from([Encoding.EXPLICIT_LE, Encoding.IMPLICIT_LE]),
    st.integers(1, 50),
)
@settings(deadline=None)
def test_a_data_set_says_the_same_in_every_encoding(dataset, encoding, target, step):
    data = _written(dataset, encoding)
    after = _rewritten(data, encoding, target, step)
    found = differences(_read(data, encoding), _read(after, target), implicit=target.implicit)
    assert found == []


@given(_datasets(), st.sampled_from(list(_UIDS)), st.integers(1, 50))
@settings(deadline=None)
def test_the_way_there_and_back_ends_where_it_first_came_to(dataset, encoding, step):
    explicit = _rewritten(_written(dataset, encoding), encoding, Encoding.EXPLICIT_LE, step)
    implicit = _rewritten(explicit, Encoding.EXPLICIT_LE, Encoding.IMPLICIT_LE, step)
    assert _rewritten(explicit, Encoding.EXPLICIT_LE, Encoding.EXPLICIT_LE, step) == explicit
    assert _rewritten(implicit, Encoding.IMPLICIT_LE, Encoding.EXPLICIT_LE, step) == explicit


@given(st.binary(max_size=300), st.sampled_from(list(_UIDS)), st.integers(1, 50))
@settings(deadline=None)
def test_noise_is_refused_or_rewritten_to_what_parses(noise, encoding, step):
    try:
        once = _rewritten(noise, encoding, Encoding.EXPLICIT_LE, step)
    except WalkError:
        return
    assert _rewritten(once, Encoding.EXPLICIT_LE, Encoding.EXPLICIT_LE, step) == once


@given(_datasets(), st.sampled_from(list(_UIDS)), st.data())
@settings(deadline=None)
def test_a_cut_data_set_is_no_data_set(dataset, encoding, data):
    whole = _written(dataset, encoding)
    cut = data.draw(st.integers(0, max(len(whole) - 1, 0)))
    boundaries = {0, len(whole)}
    for element in _read(whole, encoding):
        boundaries.add(len(_written(_upto(dataset, element.tag), encoding)))
    if cut in boundaries:
        return
    with pytest.raises(WalkError):
        _rewritten(whole[:cut], encoding, Encoding.EXPLICIT_LE, 7)


def _upto(dataset, tag):
    part = Dataset()
    for element in dataset:
        if element.tag <= tag:
            part.add(element)
    return part
