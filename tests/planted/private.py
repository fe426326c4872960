"""Hiding places in private groups, in retired and odd ones, and in what is packed inside of values."""

import base64
import bz2
import gzip
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.planted.canaries import Planter
from tests.planted.instance import Instance
from tests.planted.raw import Field

_SAFE = Path(__file__).resolve().parents[2] / "deid" / "tables" / "safe_private.tsv"
_STRINGS = ("AE", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "DA", "DT", "UI")
_BYTES = ("OB", "OD", "OF", "OL", "OV", "OW", "UN", "US", "UL", "FD", "FL", "SS")


@cache
def safe_list() -> tuple[tuple[str, int, int, str], ...]:
    """Creator, group, low byte and VR of the private attributes that an option may keep."""
    lines = _SAFE.read_text(encoding="ascii").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return tuple((row[0], int(row[1], 16), int(row[2], 16), row[3]) for row in rows)


def packed(planter: Planter, place: str) -> bytes:
    """Text that names somebody, packed so that no letter of it is seen."""
    text = f"{planter.word(place)} {planter.name(place)} {planter.number(place)}".encode()
    raw = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return planter.random.choice(
        (
            lambda: zlib.compress(text),
            lambda: zlib.compress(text, 0),
            lambda: gzip.compress(text, mtime=0),
            lambda: raw.compress(text) + raw.flush(),
            lambda: base64.b64encode(text),
            lambda: base64.b64encode(zlib.compress(text)),
            lambda: text.hex().encode(),
            lambda: bz2.compress(text),
            lambda: text.decode().encode("utf_16_le"),
            lambda: b"\0\1\2\3" + text,
            lambda: bytes(16) + zlib.compress(text) + bytes(8),
        )
    )()


def unknown_creators(one: Instance) -> None:
    for group in (0x0009, 0x0019, 0x0029, 0x7FE1, 0x4321):
        one.add(
            _block(one.planter, group, one.planter.word(f"creator of {group:04X}"), f"private {group:04X}")
        )


def _block(planter: Planter, group: int, creator: str, place: str) -> dict[int, Field]:
    found = {group << 16 | 0x10: Field("LO", creator)}
    for number, vr in enumerate((*_STRINGS, *_BYTES)):
        found[group << 16 | 0x1000 | number] = Field(vr, planter.value(vr, f"{place} {vr}"))
    inner = {0x00100010: Field("PN", planter.name(place)), 0x00204000: Field("LT", planter.word(place))}
    for number, vr in ((0x80, "SQ"), (0x81, "UN")):
        found[group << 16 | 0x1000 | number] = Field(vr, [inner])
    return found


def known_creators(one: Instance) -> None:
    """Text and packed text in attributes of the safe list, under the VR of the list, another one, and UN."""
    _safe(one, lambda planter, vr, place: planter.value(planter.random.choice((vr, "UN")), place))


def known_creators_packed(one: Instance) -> None:
    _safe(one, lambda planter, _vr, place: packed(planter, place))


def known_creators_wide(one: Instance) -> None:
    _safe(one, lambda planter, _vr, place: planter.plain(place).encode("utf_16_le"))


def _safe(one: Instance, value: Callable[[Planter, str, str], bytes]) -> None:
    planter = one.planter
    blocks: dict[tuple[int, str], int] = {}
    for creator, group, low, vr in safe_list():
        block = blocks.setdefault((group, creator), 0x10 + len([key for key in blocks if key[0] == group]))
        one.add({group << 16 | block: Field("LO", creator)})
        place = f"{creator} ({group:04X},xx{low:02X})"
        raw = value(planter, vr, place)
        raw = raw.ljust(-(-len(raw) // 8) * 8, b" " if vr in _STRINGS else b"\0")
        written = planter.random.choice((vr, "UN"))
        one.add({group << 16 | block << 8 | low: Field(written, raw)})


def without_creator(one: Instance) -> None:
    """Elements of blocks that nobody reserved, and of a group's lowest numbers."""
    planter = one.planter
    for tag in (0x00291001, 0x00292001, 0x00190001, 0x0019000F, 0x00091102, 0x00110001):
        one.add({tag: Field("LO", planter.word(f"({tag:08X}) without creator"))})


def nested_private(one: Instance) -> None:
    planter = one.planter
    inner = _block(planter, 0x0029, "SIEMENS CSA HEADER", "nested private")
    for _ in range(planter.random.randrange(1, 8)):
        inner = {
            0x52009229: Field("SQ", [inner]),
            **_block(planter, 0x0033, planter.word("creator"), "nested"),
        }
    one.add(inner)


def private_sequences(one: Instance) -> None:
    """Sequences in private blocks of known creators, known attributes inside."""
    planter = one.planter
    inner = {0x00100010: Field("PN", planter.name("in a private sequence"))}
    inner[0x20050010] = Field("LO", "Philips MR Imaging DD 001")
    inner[0x2005100D] = Field("LO", planter.word("in a private sequence"))
    for group, creator in ((0x2005, "Philips MR Imaging DD 001"), (0x0029, "SIEMENS CSA HEADER")):
        one.add({group << 16 | 0x10: Field("LO", creator)})
        one.add({group << 16 | 0x100F: Field("SQ", [inner]), group << 16 | 0x1084: Field("UN", [inner])})


def odd_groups(one: Instance) -> None:
    """Unknown public elements, retired groups, group lengths, command and directory groups, padding."""
    planter = one.planter
    for tag, vr in (
        *((0x00080F0F, "LO"), (0x00100F0F, "UN"), (0x00180F0E, "OB"), (0x00280F0E, "LT"), (0x01000010, "UT")),
        *((0x40000010, "LT"), (0x40004000, "LT"), (0x00081000, "LO"), (0x00200F01, "SQ"), (0x00340F01, "UC")),
        *((0x00201070, "LO"), (0x00203401, "CS"), (0x00283000, "SQ"), (0x10000010, "US"), (0x00184000, "LT")),
        *((0x00041141, "SH"), (0x00060010, "LO"), (0x7F000010, "OW"), (0x00280400, "LO"), (0x00289099, "CS")),
    ):
        where = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if vr == "SQ":
            one.add({tag: Field("SQ", [{0x00204000: Field("LT", planter.word(where))}])})
        else:
            one.add({tag: Field(vr, planter.value(vr, where))})
    for group in (0x0008, 0x0010, 0x0020, 0x0028):
        one.add({group << 16: Field("UL", planter.plain(f"group length {group:04X}").encode()[:4])})
        one.planter.canaries.pop()  # four bytes are too few to be found
    one.add({0x00100000: Field("LO", planter.word("group length as text"))})
    one.add({0xFFFCFFFC: Field("OB", planter.word("trailing padding").encode())})


def signatures(one: Instance) -> None:
    planter = one.planter
    inner = {
        0x04000100: Field("UI", planter.uid("DigitalSignatureUID")),
        0x04000105: Field("DT", planter.date("DigitalSignatureDateTime") + "101112"),
        0x04000110: Field("CS", "X509_1993_SIG"),
        0x04000115: Field("OB", planter.name("CertificateOfSigner").encode()),
        0x04000120: Field("OB", planter.plain("Signature").encode()),
        0x04000310: Field("OB", planter.plain("CertifiedTimestamp").encode()),
    }
    one.add(
        {
            0xFFFAFFFA: Field("SQ", [inner]),
            0x4FFE0001: Field("SQ", [inner]),
            0x04000010: Field("UI", "1.2.840.10008.1.2.1"),
        }
    )
    change = {
        0x00100010: Field("PN", planter.name("ModifiedAttributes")),
        0x00100020: Field("LO", planter.number("Modified")),
    }
    original = {
        0x04000550: Field("SQ", [change]),
        0x04000564: Field("LO", planter.word("SourceOfPreviousValues")),
    }
    original[0x04000563] = Field("LO", planter.word("ModifyingSystem"))
    encrypted = {
        0x04000510: Field("UI", "1.2.840.10008.1.2.1"),
        0x04000520: Field("OB", packed(planter, "EncryptedContent")),
    }
    one.add({0x04000561: Field("SQ", [original]), 0x04000500: Field("SQ", [encrypted])})


def packed_values(one: Instance) -> None:
    """Packed and coded text in public attributes of bytes, words, numbers and text."""
    planter = one.planter
    for tag, vr in (
        *((0x00281201, "OW"), (0x00281202, "OW"), (0x00281203, "OW"), (0x00281221, "OW"), (0x54001010, "OW")),
        *((0x00283006, "OW"), (0x00660016, "OF"), (0x00640009, "OF"), (0x00660040, "OL"), (0x00281408, "OW")),
        *((0x00620020, "UT"), (0x00186060, "FL"), (0x00189087, "FD"), (0x00189089, "FD"), (0x00081161, "UL")),
        *(
            (0x00280010 + 0x9108, "FD"),
            (0x00209157, "UL"),
            (0x00186022, "SL"),
            (0x00181620, "IS"),
            (0x00204000, "LT"),
        ),
        *((0x00420011, "OB"), (0x00189810, "OB"), (0x00340002, "OB"), (0x0028140E, "OB"), (0x00880200, "OB")),
    ):
        raw = packed(planter, f"packed in ({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr}")
        one.add({tag: Field(vr, raw.ljust(-(-len(raw) // 8) * 8, b"\0"))})


def text_behind_numbers(one: Instance) -> None:
    """Tables with text behind, before and amid their numbers."""
    planter = one.planter
    ramp = bytes(range(256))
    for tag in (0x00281201, 0x00281202, 0x00281203, 0x00283006, 0x54001010, 0x00640009, 0x00660016):
        text = planter.plain(f"amid numbers in {tag:08X}") + planter.plain(f"amid numbers in {tag:08X}")
        at = planter.random.choice((0, 128, 256))
        raw = ramp[:at] + text.encode() + ramp[at:]
        one.add({tag: Field("OF" if tag >> 16 in {0x0064, 0x0066} else "OW", raw.ljust(280, b"\0"))})


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(unknown_creators, known_creators, known_creators_packed, known_creators_wide, without_creator),
    *(nested_private, private_sequences, odd_groups, signatures, packed_values, text_behind_numbers),
)
