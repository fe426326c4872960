import zlib

import pytest

from deid.deflate import InflateError, inflate_bounded, is_deflated


def deflated(data):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def test_inflates_what_was_deflated_and_leaves_what_follows():
    data = bytes(range(256)) * 20_000
    assert inflate_bounded(deflated(data) + b"trailing") == data
    assert inflate_bounded(deflated(b"")) == b""


def test_a_bomb_is_refused_before_it_is_held():
    with pytest.raises(InflateError):
        inflate_bounded(deflated(bytes(64 << 20)), limit_bytes=1 << 20)


@pytest.mark.parametrize("stream", [b"", b"\xff\xff\xff", deflated(b"abc" * 1000)[:-4]])
def test_damaged_streams_are_refused(stream):
    with pytest.raises(InflateError):
        inflate_bounded(stream)


def test_only_whole_data_set_syntaxes_are_deflated():
    assert is_deflated("1.2.840.10008.1.2.1.99")
    assert not is_deflated("1.2.840.10008.1.2.8.1")  # deflated image frames are fragments
