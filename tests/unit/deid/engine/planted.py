"""A corpus of data sets with canaries in every attribute, and the hunt for them."""

import base64
import hashlib
import random
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydicom.datadict import DicomDictionary

from deid.tables.loader import table
from tests.unit.deid.engine.build import EXPLICIT, dataset, el, item

STRINGS = frozenset({"AE", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AS", "TM"})
BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV", "AT"})
# Names as the character sets of PS3.3 C.12.1.1.2 write them.
CHARSETS = {
    "ISO_IR 100": "Müßiggänger".encode("latin_1"),
    "ISO_IR 126": "Διονυσιος".encode("iso8859_7"),
    "ISO_IR 127": "قباني".encode("iso8859_6"),
    "ISO_IR 138": "שרון".encode("iso8859_8"),
    "ISO_IR 144": bytes.fromhex("bbeed0e1d5dcd1e3e0d3"),
    "\\ISO 2022 IR 87": "山田^太郎".encode("iso2022_jp"),
    "\\ISO 2022 IR 149": b"\x1b$)C" + "김희중".encode("euc_kr"),
    "GB18030": "王小东".encode("gb18030"),
    "ISO_IR 192": "Wáng^小东".encode(),
}
SEQUENCE = 0x52009229  # SharedFunctionalGroupsSequence: in no row of the table, so its items are walked


@dataclass
class Planted:
    """A data set, and the byte strings that must not be in anything made of it."""

    data: bytes
    syntax: str = EXPLICIT
    canaries: list[bytes] = field(default_factory=list)


class Planter:
    """Makes canaries that occur nowhere by chance."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.canaries = []

    def word(self):
        letters = "".join(self.random.choices("BCDFGHJKLMNPQRSTVWXZ", k=10))
        self.canaries.append(letters.encode())
        return letters

    def value(self, vr):
        """A canary in the form of a VR, and the VR to write it with."""
        if vr in {"DA", "DT"}:
            # Fewer days apart than the patient's dates move: no moved date is another planted one.
            day = date(1931, 1, 1) + timedelta(days=self.random.randrange(60))
            text = f"{day:%Y%m%d}" + ("101112.5" if vr == "DT" else "")
            self.canaries.append(f"{day:%Y%m%d}".encode())
            return text.encode()
        if vr == "UI":
            uid = "1.2.276.0.99." + ".".join(str(self.random.randrange(10**6, 10**9)) for _ in range(3))
            self.canaries.append(uid.encode())
            return uid.encode()
        if vr in NUMBERS:
            return f"{self.word()}{self.word()}WXYZ".encode()  # 24 bytes: whole values of every size
        return self.word().encode()


def _by_tag():
    rows = table("2026c")
    for tag, (vr, *_rest) in sorted(DicomDictionary.items()):
        if 0x0008 <= tag >> 16 < 0xFFFA and tag >> 16 != 0x7FE0:
            yield tag, vr.split(" or ")[-1], tag in rows.rows


IDENTIFYING = [(tag, vr) for tag, vr, listed in _by_tag() if listed]
UNLISTED = [(tag, vr) for tag, vr, listed in _by_tag() if not listed]
# These decide whether and how an instance is published at all, or stay because of what they are.
DECIDING = frozenset(
    {0x00080005, 0x00080008, 0x00080016, 0x00080060, 0x00280301} | set(range(0x00280002, 0x00280104))
)


def plant(attributes, seed, *, depth=0, syntax=EXPLICIT, as_un=False, undefined=False):
    """A publishable data set with a canary in each of the attributes, `depth` sequences deep."""
    planter = Planter(seed)
    written = {}
    for tag, vr in attributes:
        if tag in DECIDING:
            continue
        if vr == "SQ":
            inner = el(0x00081030, "LO", planter.word(), syntax=syntax)
            note = el(0x00204000, "LT", planter.word(), syntax=syntax)
            written[tag] = el(tag, "SQ", [[inner, note]], syntax=syntax, undefined=undefined)
        else:
            written[tag] = el(tag, "UN" if as_un else vr, planter.value(vr), syntax=syntax)
    body = b"".join(written[tag] for tag in sorted(written))
    for level in range(depth):
        at = SEQUENCE if level == depth - 1 else 0x00289145  # PixelValueTransformationSequence
        body = el(at, "SQ", item(body, syntax=syntax), syntax=syntax)
    if depth:
        return Planted(dataset(body, syntax=syntax), syntax, planter.canaries)
    return Planted(dataset(*written.values(), syntax=syntax), syntax, planter.canaries)


def private(seed, *, depth):
    """Canaries in private elements: in values, in the creator's name, in nested sequences, in odd VRs."""
    planter = Planter(seed)
    block = [
        el(0x00290010, "LO", planter.word()),
        *(
            el(0x00291000 + number, vr, planter.value(vr))
            for number, vr in enumerate(sorted(STRINGS | BYTES | {"DA", "DT", "UI"}))
        ),
        el(0x00291080, "SQ", [[el(0x00100010, "PN", planter.word())]], undefined=True),
    ]
    for _ in range(depth):
        block = [el(SEQUENCE, "SQ", [block])]
    return Planted(dataset(*block), EXPLICIT, planter.canaries)


def forms(canary):
    """The ways a canary may be hidden in bytes."""
    text = canary.decode("latin_1")
    yield canary
    yield text.encode("utf_16_le")
    yield text.encode("utf_16_be")
    yield canary.hex().encode()
    yield canary.hex().upper().encode()
    for lead in range(3):  # base64 of the canary at each of the three places it can have in a stream
        coded = base64.b64encode(bytes(lead) + canary)
        yield coded[4 if lead else 0 : -4]
    for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256):
        yield digest(canary).digest()
        yield digest(canary).hexdigest().encode()


def leaks(output, canaries):
    """The canaries found in an output, in any form."""
    return [canary for canary in canaries if any(form in output for form in forms(canary))]
