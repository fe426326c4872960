import re
from collections.abc import Iterator

from deid.elements import WalkError
from dgis.transcode.errors import DamagedPixelsError
from dgis.transcode.source import Source
from dgis.transcode.syntaxes import Codec

_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"
_ITEM_HEADER_BYTES = 8
START_BYTES = 16
"""As many as a start can take, fill bytes included."""

# The first bytes of a codestream: SOI (T.81 B.1.1, fill bytes allowed before it; T.87 likewise), SOC and SIZ
# (T.800 A.4), or the signature of a JP2 file, which DICOM forbids and some write.
_JPEG_START = re.compile(rb"\xff+\xd8")
_JPEG_2000_START = re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ")
_STARTS = {
    Codec.JPEG: _JPEG_START,
    Codec.JPEG_LS: _JPEG_START,
    Codec.JPEG_2000: _JPEG_2000_START,
    Codec.HTJ2K: _JPEG_2000_START,
}


def begins(codec: Codec, first: bytes) -> bool:
    """Whether a fragment of several frames begins another one; `first` are its first `START_BYTES`."""
    return codec.one_fragment or _STARTS[codec].match(first) is not None


def codestreams(source: Source, codec: Codec, frames: int, limit_bytes: int) -> Iterator[bytes]:
    """Yield the codestream of each frame of an encapsulated pixel element, its header already taken.

    One frame takes all fragments. Of more, a frame begins where a fragment begins with a codestream; the
    offset tables are not asked: they are absent, overflowed or wrong too often, and say nothing more.

    Raises:
        WalkError: the value is no list of fragments.
        DamagedPixelsError: the frames are not as many as announced, or one is larger than `limit_bytes`.
    """
    gathered = bytearray()
    found = 0
    for length in _fragments(source):
        if gathered and frames > 1 and begins(codec, source.peek(min(length, START_BYTES))):
            found += 1
            yield _counted(gathered, found, frames)
            gathered = bytearray()
        if len(gathered) + length > limit_bytes:
            raise DamagedPixelsError(f"a compressed frame is larger than {limit_bytes} bytes")
        for piece in source.pieces(length):
            gathered += piece
    found += 1
    if not gathered or found != frames:
        raise DamagedPixelsError(f"{found if gathered else found - 1} compressed frames, not {frames}")
    yield bytes(gathered)


def _counted(gathered: bytearray, found: int, frames: int) -> bytes:
    if found >= frames:
        raise DamagedPixelsError(f"more compressed frames than {frames}")
    return bytes(gathered)


def _fragments(source: Source) -> Iterator[int]:
    """Yield the length of each fragment, standing at its first byte; the caller takes it."""
    table = True
    while True:
        raw = source.read(_ITEM_HEADER_BYTES)
        length = int.from_bytes(raw[4:], "little")
        if raw[:4] == _END:
            return
        if raw[:4] != _ITEM:
            raise WalkError(f"no fragment before offset {source.position}")
        if table:
            for _offset in source.pieces(length):
                pass  # the basic offset table comes first, always (PS3.5 A.4)
            table = False
        elif length:
            yield length
