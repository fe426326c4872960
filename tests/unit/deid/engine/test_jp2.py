import struct

import imagecodecs
import numpy as np
import pytest

from deid.jp2 import is_jp2, jp2_metadata
from deid.jpeg2000 import jpeg2000_metadata
from tests.unit.deid.engine.test_jpeg import CANARY, IMAGE, without


def box(kind, content, *, length=None):
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


def jp2(*header, before=(), codestream, behind=()):
    """A JP2 file (ISO/IEC 15444-1 Annex I)."""
    parts = [box(b"jP  ", b"\r\n\x87\n"), box(b"ftyp", b"jp2 \0\0\0\0jp2 "), *before]
    return b"".join((*parts, box(b"jp2h", b"".join(header)), codestream, *behind))


SIZE = box(b"ihdr", bytes(14))
GREY = box(b"colr", b"\1\0\0\0\0\0\x11")


def test_of_a_jp2_file_only_the_codestream_stays():
    stream = imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k")
    planted = [box(b"uuid", CANARY), box(b"xml ", CANARY)]
    for code in (box(b"jp2c", stream), box(b"jp2c", struct.pack(">Q", 16 + len(stream)) + stream, length=1)):
        wrapped = jp2(SIZE, GREY, before=planted, codestream=code, behind=planted)
        assert is_jp2(memoryview(wrapped))
        cleaned = without(wrapped, jp2_metadata(memoryview(wrapped)))
        assert cleaned == without(stream, jpeg2000_metadata(memoryview(stream)))
        assert cleaned == without(wrapped + b"\0", jp2_metadata(memoryview(wrapped + b"\0")))
    last = jp2(SIZE, GREY, codestream=box(b"jp2c", stream, length=0))
    assert np.array_equal(imagecodecs.jpeg2k_decode(without(last, jp2_metadata(memoryview(last)))), IMAGE)


@pytest.mark.parametrize(
    "header",
    [
        [SIZE, box(b"pclr", bytes(8))],
        [SIZE, box(b"cdef", bytes(8))],
        [SIZE, box(b"colr", b"\1\0\0\0\0\0\x12")],  # sYCC: a decoder of files would change the colours
        [SIZE, box(b"colr", b"\2\0\0" + bytes(200))],  # a profile
        [SIZE, box(b"ihdr", b"", length=4)],
        [SIZE, box(b"ihdr", b"", length=9000)],
    ],
)
def test_a_jp2_file_that_says_more_than_its_codestream_is_not_judged(header):
    code = box(b"jp2c", imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k"))
    assert jp2_metadata(memoryview(jp2(*header, codestream=code))) is None
    assert jp2_metadata(memoryview(jp2(SIZE, GREY, codestream=b""))) is None
    assert jp2_metadata(memoryview(jp2(SIZE, GREY, codestream=code + code))) is None
    assert jp2_metadata(memoryview(jp2(SIZE, GREY, codestream=box(b"jp2c", CANARY)))) is None
