"""DICOM files written by hand, in every wrapping a hospital has been seen to use."""

import struct
import zlib

from deid.pseudonyms import SiteSecrets
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, el, pixels, us

DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
SITE = SiteSecrets(bytes(range(32)))
OTHER_SITE = SiteSecrets(bytes(range(1, 33)))
SENDER = b"SENDER^SECRET"


def meta(syntax, sop_class="1.2.840.10008.5.1.4.1.1.2", instance="1.2.276.111.3"):
    body = b"".join((
        el(0x00020001, "OB", b"\0\1"),
        el(0x00020002, "UI", sop_class),
        el(0x00020003, "UI", instance),
        el(0x00020010, "UI", syntax),
        el(0x00020016, "AE", SENDER),
    ))  # fmt: skip
    return el(0x00020000, "UL", struct.pack("<I", len(body))) + body


def part10(data, syntax=EXPLICIT, preamble=bytes(128), **named):
    return preamble + b"DICM" + meta(syntax, **named) + data


def native(syntax=EXPLICIT, values=(1, 2, 3, 4), instance="1.2.276.111.3", extra=(), **bits):
    return dataset(*extra, *pixels(values, syntax=syntax, **bits), syntax=syntax, instance=instance)


def ultrasound(instance="1.2.276.111.9"):
    """What a rule withholds."""
    modality = el(0x00080060, "CS", "US")
    return part10(dataset(modality, *pixels((1, 2, 3, 4)), sop_class=ULTRASOUND, instance=instance))


def jpeg(comment=b"DOE^JANE", **identity):
    """A grey frame of JPEG, with a comment that must go."""
    segment = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    frame = b"\xff\xd8" + segment + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + bytes(range(20)) + b"\xff\xd9"
    frame += b"\0" * (len(frame) % 2)
    item = b"\xfe\xff\0\xe0"
    value = item + bytes(4) + item + struct.pack("<I", len(frame)) + frame + b"\xfe\xff\xdd\xe0" + bytes(4)
    header = dataset(*pixels((1, 2, 3, 4))[:-1], **identity)
    element = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + value
    return part10(header + element, JPEG)


def odd_frame():
    """Three pixels of a byte each, and what pads them to a word."""
    numbers = {0x00280002: 1, 0x00280010: 1, 0x00280011: 3, 0x00280100: 8, 0x00280101: 8, 0x00280102: 7}
    shape = [el(tag, "US", us(number)) for tag, number in {**numbers, 0x00280103: 0}.items()]
    return dataset(*shape, el(0x00280004, "CS", "MONOCHROME2"), el(0x7FE00010, "OB", b"\1\2\3\7"))


def deflated(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def published_kinds():
    """Files that are published, by what is odd about them."""
    big = pixels((1, 2, 3, 4), syntax=BIG_ENDIAN)
    return {
        "plain": part10(native()),
        "implicit": part10(native(IMPLICIT), IMPLICIT),
        "big endian": part10(dataset(*big, syntax=BIG_ENDIAN), BIG_ENDIAN),
        "a preamble that is a program": part10(native(), preamble=b"MZ" + b"DOE^JANE" * 15 + bytes(6)),
        "no preamble": meta(EXPLICIT) + native(),
        "a bare data set": native(IMPLICIT),
        "a bare explicit data set": native(),
        "bits above the stored ones": part10(native(values=(0xF001, 0xF002, 3, 4))),
        "bytes behind the pixels": part10(native() + el(0xFFFCFFFC, "OB", b"DOE^JANE")),
        "deflated": part10(deflated(native()), DEFLATED),
        "a comment in the JPEG": jpeg(),
        "no pixels": part10(dataset()),
        "an odd frame": part10(odd_frame()),
    }


def withheld_kinds():
    """Files that are sealed whole."""
    return {
        "ultrasound": ultrasound(),
        "nothing behind the prefix": bytes(128) + b"DICM",
        "cut in the meta": part10(native())[:200],
        "cut in the header": part10(native())[:500],
        "a length beyond the end": part10(native()[:-6]),
    }
