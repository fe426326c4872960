"""Hiding places in and around native pixels: overlays, unused bits, icons, curves, profiles, tables."""

import struct
from collections.abc import Callable

import numpy as np

from tests.planted.instance import PIXEL_MODULE, Instance, native_pixels
from tests.planted.raw import Field


def behind_the_image(one: Instance) -> None:
    text = one.planter.word("behind the last pixel").encode()
    one.add({0x7FE00010: Field("OW", native_pixels(1) + text)})


def overlays(one: Instance) -> None:
    for group in (0x6000, 0x6002, 0x601E, 0x60FE):
        planter, base = one.planter, group << 16
        where = f"overlay {group:04X}"
        one.add(
            {
                base | 0x0010: Field("US", (16,)),
                base | 0x0011: Field("US", (16,)),
                base | 0x0022: Field("LO", planter.word(where)),
                base | 0x0040: Field("CS", "G"),
                base | 0x0050: Field("SS", (1, 1)),
                base | 0x0100: Field("US", (1,)),
                base | 0x0102: Field("US", (0,)),
                base | 0x1500: Field("LO", planter.word(where)),
                base | 0x3000: Field("OW", planter.word(where).encode().ljust(32, b"\0")),
                base | 0x4000: Field("LT", planter.word(where)),
                base | 0x0F0E: Field("UT", planter.word(where)),
            }
        )


def curves(one: Instance) -> None:
    for group in (0x5000, 0x5002, 0x50FE):
        planter, base = one.planter, group << 16
        where = f"curve {group:04X}"
        for low, vr in (
            (0x0022, "LO"),
            (0x0030, "SH"),
            (0x2500, "LO"),
            (0x3000, "OW"),
            (0x200C, "OW"),
            (0x0020, "CS"),
        ):
            one.add({base | low: Field(vr, planter.value(vr, where))})


def in_unused_bits(one: Instance) -> None:
    """An overlay in each of the bits above the stored ones (PS3.5 8.1.2, retired)."""
    words = np.frombuffer(native_pixels(2), "<u2").copy()
    for bit in (12, 13, 14, 15):
        words |= _plane(one.planter.plain(f"bit {bit} of the pixels"), len(words)) << np.uint16(bit)
    one.add(
        {
            0x7FE00010: Field("OW", words.tobytes()),
            0x60000100: Field("US", (16,)),
            0x60000102: Field("US", (12,)),
        }
    )


def in_low_bits(one: Instance) -> None:
    """The stored value lies high, text in the bits below it."""
    words = np.frombuffer(native_pixels(3), "<u2").copy() << np.uint16(4)
    words |= _plane(one.planter.plain("bit 1 of the pixels"), len(words)) << np.uint16(1)
    one.add({0x7FE00010: Field("OW", words.tobytes()), 0x00280102: Field("US", (15,))})


def in_unused_bits_of_signed(one: Instance) -> None:
    words = np.frombuffer(native_pixels(4), "<u2").copy()
    words |= _plane(one.planter.plain("bit 14 of signed pixels"), len(words)) << np.uint16(14)
    one.add({0x7FE00010: Field("OW", words.tobytes()), 0x00280103: Field("US", (1,))})


def _plane(text: str, count: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(text.encode(), np.uint8), bitorder="little")
    return np.resize(np.concatenate([bits, np.zeros(count - len(bits), np.uint8)]), count).astype(np.uint16)


def icons(one: Instance) -> None:
    """Small pictures of the image, with text for pixels, at the top, in references, in a private block."""
    planter = one.planter

    def icon(where: str) -> dict[int, Field]:
        pixels = planter.plain(where).encode() * 26
        return {**PIXEL_MODULE, 0x7FE00010: Field("OW", pixels[:256]), 0x00280100: Field("US", (8,))}

    one.add({0x00880200: Field("SQ", [icon("icon")])})
    reference = {
        0x00081150: Field("UI", one.sop_class),
        0x00880200: Field("SQ", [icon("icon of a reference")]),
    }
    one.add(
        {0x00081140: Field("SQ", [reference]), 0x52009230: Field("SQ", [icon("pixels in a frame's item")])}
    )
    one.add(
        {0x00091010: Field("SQ", [icon("icon in a private block")]), 0x00090010: Field("LO", "GEMS_IDEN_01")}
    )


def colour_profile(one: Instance) -> None:
    """Names in every part of an ICC profile that is no number (ICC.1 7.2, 7.3, 10.x)."""
    planter = one.planter
    tags = [
        (b"desc", _text(planter.plain("profile description"))),
        (b"cprt", b"text" + bytes(4) + planter.word("profile copyright").encode() + b"\0"),
        (b"dmnd", _text(planter.plain("profile maker"))),
        (b"dmdd", _localised(planter.plain("profile model"))),
        (b"targ", b"text" + bytes(4) + planter.plain("profile target").encode() + b"\0"),
        (b"wtpt", b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)),
        (b"rXYZ", b"XYZ " + bytes(4) + planter.plain("colours of a profile").encode() * 3),
        (
            b"rTRC",
            b"curv"
            + bytes(4)
            + struct.pack(">I", 1)
            + b"\2\x33"
            + planter.plain("curve of a profile").encode(),
        ),
        (b"A2B0", b"mft1" + bytes(4) + bytes(40) + planter.plain("table of a profile").encode()),
        (b"meta", b"dict" + bytes(4) + planter.plain("dictionary of a profile").encode("utf_16_be")),
    ]
    carrier = planter.plain("names of profile tags")
    tags += [(carrier[at : at + 4].encode(), b"XYZ " + bytes(16)) for at in (0, 4)]
    tags.append((carrier[8:].encode(), b"XYZ " + bytes(16)))
    one.add({0x00282000: Field("OB", _profile(tags, planter.plain("profile header")))})
    path = {0x00282000: Field("OB", _profile(tags[:5], planter.plain("header of a nested profile")))}
    one.add({0x00480105: Field("SQ", [path])})


def _profile(tags: list[tuple[bytes, bytes]], header: str) -> bytes:
    head = bytearray(128)
    head[4:8], head[8:12], head[12:24] = b"ABCD", b"\2\x10\0\0", b"mntrRGB XYZ "
    head[36:40] = b"acsp"
    head[100:110] = header.encode()
    table, body, position = [], [], 132 + 12 * len(tags)
    for name, value in tags:
        padded = value + bytes(-len(value) % 4)
        table.append(struct.pack(">4sII", name, position, len(value)))
        body.append(padded)
        position += len(padded)
    head[:4] = struct.pack(">I", position)
    return bytes(head) + struct.pack(">I", len(tags)) + b"".join(table) + b"".join(body)


def _text(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(raw)) + raw + bytes(78)


def _localised(text: str) -> bytes:
    raw = text.encode("utf_16_be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(raw), 28) + raw


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(behind_the_image, overlays, curves, in_unused_bits, in_low_bits, in_unused_bits_of_signed, icons),
    colour_profile,
)
