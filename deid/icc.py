import struct

# ICC.1:2010 (ISO 15076-1) 7.2 header, 7.3 tag table. Offsets in bytes.
_HEADER_BYTES = 128
_ENTRY = struct.Struct(">4sII")
_COUNT = struct.Struct(">I")
_MAGIC = b"acsp"
_MOST_TAGS = 100
# When and by whom it was made: date, device maker, model, attributes, creator, profile ID, reserved bytes.
_CLEARED = ((24, 36), (48, 64), (80, 128))
_VERSION_4 = 4

# Types of tags that are numbers (10.x of the specification): colours, curves, tables, matrices, signatures.
_NUMBERS = frozenset(
    {b"XYZ ", b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ", b"sf32", b"meas", b"view"}
)
# Tags a profile must have whose values are words.
_WORDS = (b"desc", b"cprt")
_NOTHING_SAID = "removed"


def plain_profile(profile: bytes) -> bytes | None:
    """Return an ICC profile without words, dates and names: its colour numbers, in a container made anew.

    None where the bytes are no ICC profile.
    """
    if len(profile) < _HEADER_BYTES + _COUNT.size or profile[36:40] != _MAGIC:
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
        if value[:4] in _NUMBERS:
            tags[name] = value
    words = _localised if profile[8] >= _VERSION_4 else _described
    tags |= {name: words(name) for name in _WORDS}
    return _packed(profile[:_HEADER_BYTES], tags)


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
