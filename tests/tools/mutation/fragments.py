"""Mutations of encapsulated pixels: fragments, offset tables, and what is written inside of codestreams."""

import struct
from random import Random

from tests.tools.mutation.bent import Operator
from tests.tools.mutation.sources import COMMENT
from tests.tools.mutation.tree import PIXELS, Doc, Item, Node
from tests.tools.mutation.wrapped import SYNTAXES

_ENCAPSULATED = SYNTAXES[4:]
_MARKERS = (
    0x01,
    0xC0,
    0xC4,
    0xD8,
    0xD9,
    0xDA,
    0xDB,
    0xDD,
    0xE0,
    0xE1,
    0xEE,
    0xF8,
    0xFE,
    0xFF,
    0x4F,
    0x64,
    0x90,
    0x93,
)


def order(doc: Doc, random: Random) -> None:
    """Double, leave out, empty or reorder fragments."""
    fragments = _fragments(doc)
    if not fragments:
        return
    place = random.randrange(len(fragments))
    match random.randrange(4):
        case 0:
            fragments.insert(place, Item(fragments[place].value))
        case 1:
            del fragments[place]
        case 2:
            fragments[place].value = b""
        case 3:
            random.shuffle(fragments)


def cut(doc: Doc, random: Random) -> None:
    """Divide a fragment in two, at any byte, or cut its end off."""
    fragments = _fragments(doc)
    if not fragments:
        return
    place = random.randrange(len(fragments))
    raw = _raw(fragments[place])
    at = random.randrange(len(raw) + 1)
    rest = [Item(raw[at:])] if random.random() < 0.6 else []
    fragments[place : place + 1] = [Item(raw[:at]), *rest]


def join(doc: Doc, random: Random) -> None:
    """Join all fragments to one."""
    fragments = _fragments(doc)
    if len(fragments) > 1:
        fragments[1:] = [Item(b"".join(map(_raw, fragments[1:])))]


def table(doc: Doc, random: Random) -> None:
    """Write another offset table."""
    fragments = _fragments(doc)
    if not fragments:
        return
    starts = [0]
    for one in fragments[1:]:
        starts.append(starts[-1] + len(_raw(one)) + 8)
    fragments[0].value = random.choice((
        struct.pack(f"<{len(starts)}I", *starts), struct.pack(f"<{len(starts) - 1}I", *starts[:-1]),
        struct.pack("<2I", 0, 0xFFFFFFFE), random.randbytes(random.choice((3, 4, 64))), b"QZXJVKWQ",
    ))  # fmt: skip


def extended(doc: Doc, random: Random) -> None:
    """Write an extended offset table, right or wrong."""
    fragments = [_raw(one) for one in _fragments(doc)[1:]]
    starts = [sum(len(one) + 8 for one in fragments[:place]) for place in range(len(fragments))]
    lengths = [len(one) for one in fragments]
    if random.random() < 0.5:
        lengths = [random.getrandbits(63) for _ in lengths]
    doc.nodes.append(Node(0x7FE00001, "OV", struct.pack(f"<{len(starts)}Q", *starts)))
    doc.nodes.append(Node(0x7FE00002, "OV", struct.pack(f"<{len(lengths)}Q", *lengths)))
    doc.nodes.sort(key=lambda one: one.tag)


def codestream(doc: Doc, random: Random) -> None:
    """Change a marker or a length inside of a codestream, or write a comment somewhere into it."""
    fragments = _fragments(doc)[1:]
    if not fragments:
        return
    fragment = random.choice(fragments)
    raw = bytearray(_raw(fragment))
    at = random.choice([place for place, one in enumerate(raw) if one == 0xFF] or [0])
    match random.randrange(4):
        case 0:
            raw[at + 1 : at + 2] = bytes((random.choice(_MARKERS),))
        case 1:
            raw[at + 2 : at + 4] = random.choice(
                (b"\0\0", b"\0\1", b"\0\2", b"\xff\xff", random.randbytes(2))
            )
        case 2:
            marker = random.choice((b"\xff\xfe", b"\xff\xe1", b"\xff\x64"))
            raw[at:at] = marker + (len(COMMENT) + 2).to_bytes(2, "big") + COMMENT
        case 3:
            raw += COMMENT
    fragment.value = bytes(raw)


def wrap(doc: Doc, random: Random) -> None:
    """Put native pixels into a fragment, or take fragments out of theirs."""
    for node in doc.nodes:
        if node.tag == PIXELS:
            if isinstance(node.value, bytes):
                node.value, node.undefined = [Item(b""), Item(node.value)], True
                doc.say_syntax(random.choice(_ENCAPSULATED))
            else:
                node.value, node.undefined = b"".join(map(_raw, node.value[1:])), False


OPERATORS: tuple[Operator, ...] = (order, cut, join, table, extended, codestream, wrap)


def _fragments(doc: Doc) -> list[Item]:
    found = next((one.value for one in doc.nodes if one.tag == PIXELS and isinstance(one.value, list)), [])
    assert isinstance(found, list)
    return found


def _raw(item: Item) -> bytes:
    return item.value if isinstance(item.value, bytes) else b""
