import struct

from deid.words import hides_words

# ICC.1:2010 (ISO 15076-1) 7.2 header, 7.3 tag table. Offsets in bytes.
_HEADER_BYTES = 128
_ENTRY = struct.Struct(">4sII")
_COUNT = struct.Struct(">I")
_MAGIC = b"acsp"
_MOST_TAGS = 100
# When and by whom it was made: date, device maker, model, attributes, creator, profile ID, reserved bytes.
_CLEARED = ((4, 8), (24, 36), (40, 64), (80, 128))
# Kind, colour space, connection space (7.2.5 to 7.2.7), and the one illuminant there is (7.2.16).
_KINDS = frozenset({b"scnr", b"mntr", b"prtr", b"link", b"spac", b"abst", b"nmcl"})
_SPACES = frozenset(
    {b"XYZ ", b"Lab ", b"Luv ", b"YCbr", b"Yxy ", b"RGB ", b"GRAY", b"HSV ", b"HLS ", b"CMYK", b"CMY "}
)
_ILLUMINANT, _D50 = slice(68, 80), bytes.fromhex("0000f6d6000100000000d32d")
_VERSION_4 = 4

# Tags that hold colours (9.2); any other name might be somebody's.
_COLOURS = frozenset(
    {b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"D2B0"}
    | {b"D2B1", b"D2B2", b"D2B3", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"}
    | {b"bkpt", b"chad", b"gamt", b"lumi", b"meas", b"view", b"pre0", b"pre1", b"pre2"}
)
# Types of tags that are numbers (10.x of the specification): colours, curves, tables, matrices, signatures.
_NUMBERS = frozenset(
    {b"XYZ ", b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ", b"sf32", b"meas", b"view"}
)
_XYZ_BYTES, _PARAMETER_BYTES = 12, frozenset({4, 12, 16, 20, 28})
# Tags a profile must have whose values are words.
_WORDS = (b"desc", b"cprt")
_NOTHING_SAID = "removed"


def plain_profile(profile: bytes) -> bytes | None:
    """Return an ICC profile without words, dates and names: its colour numbers, in a container made anew.

    None where the bytes are no ICC profile.
    """
    if len(profile) < _HEADER_BYTES + _COUNT.size or profile[36:40] != _MAGIC:
        return None
    if profile[12:16] not in _KINDS or not _SPACES.issuperset((profile[16:20], profile[20:24])):
        return None
    (count,) = _COUNT.unpack_from(profile, _HEADER_BYTES)
    if count > _MOST_TAGS or len(profile) < _HEADER_BYTES + _COUNT.size + count * _ENTRY.size:
        return None
    tags: dict[bytes, bytes] = {}
    for place in range(count):
        name, start, size = _ENTRY.unpack_from(profile, _HEADER_BYTES + _COUNT.size + place * _ENTRY.size)
        value = profile[start : start + size]
        if len(value) != size:
            return None
        if name in _COLOURS and value[:4] in _NUMBERS and _are_numbers(value):
            tags[name] = value[:4] + bytes(4) + value[8:]
    words = _localised if profile[8] >= _VERSION_4 else _described
    tags |= {name: words(name) for name in _WORDS}
    return _packed(profile[:_HEADER_BYTES], tags)


def _are_numbers(value: bytes) -> bool:
    """Whether a tag's value is as long as its numbers (10.5, 10.15, 10.18) and none of them is text."""
    kind, content = value[:4], value[8:]
    if kind == b"curv":
        fits = len(content) >= _COUNT.size and len(content) == 4 + 2 * _COUNT.unpack_from(content)[0]
    elif kind == b"para":
        fits = len(content) - 4 in _PARAMETER_BYTES
    else:
        fits = kind != b"XYZ " or len(content) == _XYZ_BYTES
    return fits and not hides_words("OB", content)


def _packed(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table: list[bytes] = []
    body: list[bytes] = []
    places: dict[bytes, int] = {}
    position = _HEADER_BYTES + _COUNT.size + len(tags) * _ENTRY.size
    for name, value in tags.items():
        if value not in places:
            places[value] = position
            padded = value + bytes(-len(value) % 4)
            body.append(padded)
            position += len(padded)
        table.append(_ENTRY.pack(name, places[value], len(value)))
    clean = bytearray(header)
    for start, stop in _CLEARED:
        clean[start:stop] = bytes(stop - start)
    clean[_ILLUMINANT] = _D50
    clean[:4] = _COUNT.pack(position)
    return b"".join((bytes(clean), _COUNT.pack(len(tags)), *table, *body))


def _described(name: bytes) -> bytes:
    """Return the words of a version 2 profile: textType for the copyright, textDescriptionType else."""
    text = _NOTHING_SAID.encode("ascii") + b"\0"
    if name == b"cprt":
        return b"text" + bytes(4) + text
    # ASCII, then empty Unicode and ScriptCode parts (ICC.1:2001-04 6.5.17).
    return b"desc" + bytes(4) + _COUNT.pack(len(text)) + text + bytes(8) + bytes(70)


def _localised(_name: bytes) -> bytes:
    """Return the words of a version 4 profile: multiLocalizedUnicodeType with one English record."""
    text = _NOTHING_SAID.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(text), 28) + text
