"""Whether bytes that should be numbers are packed bytes: what is in those, nobody would see."""

import re
import zlib

# A zlib header is a method and a window (RFC 1950); gzip, bzip2, xz, zstd, zip, 7z and lz4 have longer marks.
_ZLIB = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78][\x01-\xff]|\x1f\x8b\x08")
_OTHERS = re.compile(
    rb"BZh[1-9]1AY&SY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|PK\x03\x04|7z\xbc\xaf\x27\x1c|\x04\x22\x4d\x18"
)
_GZIP = 0x1F
_HEADER_CHECK, _DICTIONARY = 31, 0x20
_LEAST_PACKED_BYTES = 10  # eight letters take no fewer
_LEAST_BYTES, _LEAST_KINDS, _CERTAIN_BYTES, _MOST_BYTES = 8, 4, 64, 4096
# RFC 1951 3.2.3: three bits begin a block. Where it is stored, its length and the complement of that follow.
_KIND_BITS, _STORED, _NO_KIND = 3, 0, 3
# Some writers put a length in front.
_STARTS = (0, 4, 8)


def is_packed(raw: bytes) -> bool:
    """Whether a packed stream begins anywhere in the bytes.

    Bare deflate streams have no mark, and numbers are such streams by chance: they count at the beginning
    alone, and only where they inflate to text.
    """
    if len(raw) < _LEAST_PACKED_BYTES:
        return False
    if _OTHERS.search(raw) or any(_is_zlib(raw, match.start()) for match in _ZLIB.finditer(raw)):
        return True
    return any(_is_deflated_text(raw, start) for start in _STARTS)


def _is_zlib(raw: bytes, start: int) -> bool:
    if raw[start] == _GZIP:
        window = zlib.MAX_WBITS | 16
    elif (raw[start] << 8 | raw[start + 1]) % _HEADER_CHECK or raw[start + 1] & _DICTIONARY:
        return False
    else:
        window = zlib.MAX_WBITS
    inflater = zlib.decompressobj(window)
    try:
        found = inflater.decompress(raw[start:], _MOST_BYTES)
    except zlib.error:
        return False
    return len(found) >= (_LEAST_BYTES if inflater.eof else _CERTAIN_BYTES)


def _is_deflated_text(raw: bytes, start: int) -> bool:
    if len(raw) < start + _LEAST_PACKED_BYTES:
        return False
    kind = raw[start] >> 1 & _KIND_BITS
    if kind == _NO_KIND or (kind == _STORED and not _is_stored(raw, start)):
        return False
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(raw[start:], _MOST_BYTES)
    except zlib.error:
        return False
    text = found.replace(b"\0", b"")  # UTF-16, likely
    whole = inflater.eof and not inflater.unused_data.strip(b"\0 ")
    if len(text) < (_LEAST_BYTES if whole else _CERTAIN_BYTES) or len(set(text)) < _LEAST_KINDS:
        return False
    return text.isascii() and text.decode("ascii").isprintable()


def _is_stored(raw: bytes, start: int) -> bool:
    size, complement = raw[start + 1 : start + 3], raw[start + 3 : start + 5]
    return all(one ^ other == 0xFF for one, other in zip(size, complement, strict=True))  # noqa: PLR2004
