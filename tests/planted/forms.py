"""The byte forms a value can slip through in: encodings, and digests that name it to whoever guesses it."""

import base64
import hashlib
import re
import uuid
from collections.abc import Iterator

from tests.planted.canaries import Canary

_DIGESTS = ("md5", "sha1", "sha256", "sha512")
_NAMESPACES = (uuid.NAMESPACE_OID, uuid.NAMESPACE_DNS)
_ESCAPE = re.compile(rb"\x1b[ -/]+[0-~]")  # ISO 2022, as far as PS3.3 C.12.1.1.2 takes it
_SHORTEST = 6  # bytes; shorter ones occur by chance
_DECIMALS = 24  # digits of a digest written as a UID, which may be cut


def forms(canary: Canary) -> dict[bytes, str]:
    """Return each byte form that is worth a search, with a word for it."""
    found: dict[bytes, str] = {}
    if canary.kind in {"word", "uid"}:
        for raw, name in _spellings(canary):
            _add(found, _encodings(raw, name))
        _add(found, _parts(canary))
    else:
        # Digits alone are everywhere: only as text (see hunt.py), wide, or coded is a match no chance.
        wide = {canary.text.encode(codec): codec for codec in ("utf_16_le", "utf_16_be")}
        _add(found, ((raw, name) for raw, name in wide.items()))
        found[canary.text.encode()] = "text"
        _add(found, _coded(canary.text.encode(), "text"))
    _add(found, _digests(canary.text))
    return found


def _add(found: dict[bytes, str], more: Iterator[tuple[bytes, str]]) -> None:
    for raw, name in more:
        if len(raw) >= _SHORTEST:
            found.setdefault(raw, name)


def _spellings(canary: Canary) -> Iterator[tuple[bytes, str]]:
    """The value as text, in the character set it was written in, and in UTF-8 and UTF-16."""
    if canary.raw:
        yield canary.raw, "as written"
        if canary.raw.startswith(b"\x1b"):
            yield _ESCAPE.sub(b"", canary.raw), "without its escape sequences"
    yield canary.text.encode(), "text"
    yield canary.text.encode("utf_16_le"), "utf-16le"


def _encodings(raw: bytes, name: str) -> Iterator[tuple[bytes, str]]:
    yield raw, name
    yield raw[::-1], f"{name}, backwards"
    if raw.isascii():
        yield raw.upper(), f"{name}, in capitals"
    yield raw.decode("latin_1").encode("utf_32_le").rstrip(b"\0"), f"{name}, four bytes a letter"
    for size in (2, 4, 8) if name == "text" else (2,):  # of words that are big endian
        for phase in range(size):
            turned = _swapped(raw, phase, size)
            if not turned.isdigit():  # a few digits stand in pseudonyms of 39 by chance
                yield turned, f"{name}, bytes of words turned"
    yield from _coded(raw, name)


def _coded(raw: bytes, name: str) -> Iterator[tuple[bytes, str]]:
    yield raw.hex().encode(), f"hex of {name}"
    yield raw.hex().upper().encode(), f"hex of {name}"
    for phase in range(3):
        coded = _base64(raw, phase)
        yield coded, f"base64 of {name}"
        yield coded.replace(b"+", b"-").replace(b"/", b"_"), f"base64 of {name}"


def _swapped(raw: bytes, phase: int, size: int) -> bytes:
    """The bytes that are whole words, each turned, when the value begins `phase` bytes into a word."""
    inner = raw[phase : phase + (len(raw) - phase) // size * size]
    return b"".join(inner[at : at + size][::-1] for at in range(0, len(inner), size))


def _base64(raw: bytes, phase: int) -> bytes:
    """The characters that `raw` alone decides when it begins `phase` bytes into a group of three."""
    coded = base64.b64encode(bytes(phase) + raw)
    return coded[-(-phase * 8 // 6) : (phase + len(raw)) * 8 // 6]


def _parts(canary: Canary) -> Iterator[tuple[bytes, str]]:
    """Components of a UID that are long enough to be somebody's number."""
    if canary.kind == "uid":
        for part in canary.text.split(".")[4:]:
            if len(part) >= 8:
                yield f".{part}.".encode(), "component of a UID"


def _digests(text: str) -> Iterator[tuple[bytes, str]]:
    raw = text.encode()
    for name in _DIGESTS:
        digest = hashlib.new(name, raw).digest()
        yield digest[:16], name
        yield digest.hex()[:16].encode(), f"hex of {name}"
        yield digest.hex()[:16].upper().encode(), f"hex of {name}"
        yield base64.b64encode(digest)[:16], f"base64 of {name}"
        for number in (int.from_bytes(digest, "big"), int.from_bytes(digest[:16], "big")):
            yield str(number)[:_DECIMALS].encode(), f"{name} as a UID"
    for space in _NAMESPACES:
        for made, name in ((uuid.uuid3, "uuid3"), (uuid.uuid5, "uuid5")):
            yield str(made(space, text).int)[:_DECIMALS].encode(), f"{name} as a UID"
