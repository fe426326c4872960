"""Data sets written by hand, so that tests decide every byte of them."""

import struct

from deid.engine import Deidentifier
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from deid.vr import LONG_VRS

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
SECRETS = SiteSecrets(bytes(range(32)))
OTHER_SECRETS = SiteSecrets(bytes(range(1, 33)))
STUDY, SERIES, INSTANCE = "1.2.276.111.1", "1.2.276.111.2", "1.2.276.111.3"


def el(tag, vr, value=b"", *, syntax=EXPLICIT, undefined=False):
    """One element; text is encoded as latin-1 and padded, a list makes a sequence of items."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    if isinstance(value, list):
        value = b"".join(item(*one, syntax=syntax, undefined=undefined) for one in value)
        if undefined:
            value += struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)
    if isinstance(value, str):
        value = value.encode("latin-1")
    if len(value) % 2:
        value += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    length = 0xFFFFFFFF if undefined else len(value)
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack(f"{order}I", length) + value
    if vr in LONG_VRS:
        return head + vr.encode() + bytes(2) + struct.pack(f"{order}I", length) + value
    return head + vr.encode() + struct.pack(f"{order}H", length) + value


def item(*elements, syntax=EXPLICIT, undefined=False):
    order = ">" if syntax == BIG_ENDIAN else "<"
    body = b"".join(elements)
    if undefined:
        end = struct.pack(f"{order}HHI", 0xFFFE, 0xE00D, 0)
        return struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + body + end
    return struct.pack(f"{order}HHI", 0xFFFE, 0xE000, len(body)) + body


def us(*numbers, order="<"):
    return struct.pack(f"{order}{len(numbers)}H", *numbers)


def identity(syntax=EXPLICIT, sop_class=CT, instance=INSTANCE):
    """What every publishable instance says of itself, by tag."""
    return {
        0x00080016: el(0x00080016, "UI", sop_class, syntax=syntax),
        0x00080018: el(0x00080018, "UI", instance, syntax=syntax),
        0x00080060: el(0x00080060, "CS", "CT", syntax=syntax),
        0x00100010: el(0x00100010, "PN", "DOE^JANE", syntax=syntax),
        0x00100020: el(0x00100020, "LO", "MRN-4711", syntax=syntax),
        0x0020000D: el(0x0020000D, "UI", STUDY, syntax=syntax),
        0x0020000E: el(0x0020000E, "UI", SERIES, syntax=syntax),
    }


def dataset(*elements, syntax=EXPLICIT, **identity_of):
    """A data set: the identity, and more elements, in tag order; a later element replaces an earlier one."""
    order = "big" if syntax == BIG_ENDIAN else "little"
    found = identity(syntax, **identity_of)
    for one in elements:
        tag = int.from_bytes(one[:2], order) << 16 | int.from_bytes(one[2:4], order)
        found[tag] = one
    return b"".join(found[tag] for tag in sorted(found))


def pixels(values, *, stored=12, high=11, signed=0, syntax=EXPLICIT):
    """Image pixel module for a 2 x 2 image of 16-bit words, and the pixels themselves."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    numbers = {0x00280002: 1, 0x00280010: 2, 0x00280011: 2, 0x00280100: 16, 0x00280101: stored}
    numbers |= {0x00280102: high, 0x00280103: signed}
    return [
        *(el(tag, "US", us(number, order=order), syntax=syntax) for tag, number in numbers.items()),
        el(0x00280004, "CS", "MONOCHROME2", syntax=syntax),
        el(0x7FE00010, "OW", us(*values, order=order), syntax=syntax),
    ]


def deidentifier(*options, secrets=SECRETS, facility="Demo Hospital"):
    profile = Profile.named("basic", options or ["modified-dates"])
    return Deidentifier(profile, secrets, facility)


def published(data, syntax=EXPLICIT, engine=None):
    """The de-identified form of a data set; fails where it is withheld."""
    form = (engine or deidentifier()).deidentify(data, syntax, INSTANCE)
    assert hasattr(form, "before"), form
    return form
