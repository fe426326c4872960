"""Mutations of how a file is written, and of what says how it is read. One function each, by a seed."""

import struct
from random import Random

from deid.elements import Encoding
from tests.tools.mutation.bent import Operator, any_node
from tests.tools.mutation.tree import PIXELS, Doc, Node, encode_again, padded

SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.8.1", "1.2.3.4", "",
)  # fmt: skip
_CHARSETS = (
    "", "ISO_IR 192", "GB18030", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149",
    "ISO_IR 126", "nonsense", "ISO_IR 100\\ISO_IR 192", "\\\\\\", "ISO_IR 13",
)  # fmt: skip
_ESCAPES = (
    b"\x1b$B",
    b"\x1b(B",
    b"\x1b$)C",
    b"\x1b-F",
    b"\x1b",
    b"\xff\xfe",
    b"\0",
    b"\\" * 9,
    b"\x1b(J^=^=",
)
_FRAMES = 0x00280008
_SHAPE = (
    0x00280002, 0x00280006, 0x00280008, 0x00280010, 0x00280011,
    0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 32, 64, 128, 255, 256, 512, 4096, 0x7FFF, 0x8000, 0xFFFF)
_MEGABYTES = ((1,), (60, 120, 150, 3000))  # the large ones cost seconds each: one case in hundreds
_UIDS = ("", "1", "1.2", "../../x", "1.2\\1.3", "1." * 40 + "1", "QZXJVKWQ", "1.2.840.10008.1.2", "\xe9")


def charset(doc: Doc, random: Random) -> None:
    """Name another character set, and put escapes into a text."""
    node = Node(0x00080005, "CS", padded(random.choice(_CHARSETS).encode(), "CS"))
    doc.nodes = [one for one in doc.nodes if one.tag != node.tag]
    doc.nodes.insert(random.choice((0, 0, len(doc.nodes))), node)
    other = any_node(doc, random)
    if isinstance(other.value, bytes):
        at = random.randrange(len(other.value) + 1)
        other.value = padded(other.value[:at] + random.choice(_ESCAPES) + other.value[at:], "LO")


def syntax(doc: Doc, random: Random) -> None:
    """Name another transfer syntax than the file is written in."""
    doc.say_syntax(random.choice(SYNTAXES))


def encoding(doc: Doc, random: Random) -> None:
    """Write the file in another encoding, and name it or not."""
    chosen = random.choice(list(Encoding))
    encode_again(doc, chosen)
    if random.random() < 0.8:
        doc.say_syntax(
            SYNTAXES[(Encoding.IMPLICIT_LE, Encoding.EXPLICIT_LE, Encoding.EXPLICIT_BE).index(chosen)]
        )


def deflate(doc: Doc, random: Random) -> None:
    """Deflate the file."""
    encode_again(doc, Encoding.EXPLICIT_LE)
    doc.deflated = True
    doc.say_syntax(random.choice(("1.2.840.10008.1.2.1.99",) * 3 + ("1.2.840.10008.1.2.4.95",)))


def swell(doc: Doc, random: Random) -> None:
    """Deflate the file with zeros behind it, bare, in an element or as pixels, at times too many."""
    encode_again(doc, Encoding.EXPLICIT_LE)
    doc.deflated, doc.zeros = True, random.choice(random.choices(_MEGABYTES, (60, 1))[0])
    doc.say_syntax("1.2.840.10008.1.2.1.99")
    chosen = random.choice((0, 0x00091010, 0x00281201, PIXELS))
    if chosen == PIXELS:
        numbers = {
            0x00280002: 1,
            0x00280010: 1 << 10,
            0x00280011: min(doc.zeros << 9, 0xFFFF),
            0x00280100: 16,
        }
        gone = {*numbers, _FRAMES, PIXELS}
        doc.nodes = [one for one in doc.nodes if one.tag not in gone]
        doc.nodes += [Node(tag_, "US", struct.pack("<H", number)) for tag_, number in numbers.items()]
        doc.nodes.sort(key=lambda one: one.tag)
    if chosen:
        doc.nodes.append(Node(chosen, "OW", b"", length=doc.zeros << 20))


def shape(doc: Doc, random: Random) -> None:
    """Say something else of rows, columns, frames, samples or bits."""
    chosen = random.choice(_SHAPE)
    order = doc.encoding.order
    raw = struct.pack(f"{order}H", random.choice(_NUMBERS))
    if chosen == _FRAMES:
        raw = random.choice((b"0 ", b"1 ", b"2 ", b"1000", b"1048577 ", b"999999999999", b"-1", b"x "))
    doc.nodes = [one for one in doc.nodes if one.tag != chosen]
    doc.nodes.append(Node(chosen, "IS" if chosen == _FRAMES else "US", raw))
    doc.nodes.sort(key=lambda one: one.tag)


def uid(doc: Doc, random: Random) -> None:
    """Write something else where a UID stands."""
    found = [one for one in doc.all_nodes() if one.vr == "UI"]
    if found:
        text = random.choice(_UIDS)
        random.choice(found).value = padded(text.encode("latin_1"), "UI")


def preamble(doc: Doc, random: Random) -> None:
    """Change, cut or leave out what stands in front of the data set."""
    match random.randrange(4):
        case 0:
            doc.preamble = b""
        case 1:
            doc.preamble = b"QZXJVKWQ" * 16 + b"DICM"
        case 2:
            doc.meta = []
        case 3 if doc.meta:
            doc.meta.pop(random.randrange(len(doc.meta)))


def behind(doc: Doc, random: Random) -> None:
    """Put padding, or bytes that are nothing, behind the data set."""
    doc.nodes.append(Node(0xFFFCFFFC, "OB", b"QZXJVKWQ" * 4))
    doc.tail += random.choice((b"", b"\0", b"QZXJVKWQ", bytes(512), b"\xfe\xff\xdd\xe0\0\0\0\0"))


OPERATORS: tuple[Operator, ...] = (
    charset, syntax, encoding, deflate, swell, shape, uid, preamble, behind,
)  # fmt: skip
