"""Mutations of a file's structure: elements, lengths, sequences, values. One function each, by a seed."""

import struct
from collections.abc import Callable
from copy import deepcopy
from random import Random

from pydicom.datadict import DicomDictionary

from deid.vr import LONG_VRS, SHORT_VRS
from tests.tools.mutation import sources
from tests.tools.mutation.tree import Doc, Item, Node, node_bytes, padded, read

Operator = Callable[[Doc, Random], None]

_MOST_BYTES = 1 << 20  # that one step adds
_VRS = (*sorted(LONG_VRS | SHORT_VRS), "ZZ", "  ", "\0\0", "??", "ox")
_LENGTHS = (
    0, 1, 2, 3, 7, 0xFF, 0x100, 0x7FFF, 0xFFFE,
    0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
)  # fmt: skip
_TAGS = tuple(sorted(DicomDictionary))
# Tags on which much hangs, or which are read in ways of their own.
_ODD_TAGS = (
    0x00080000, 0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00080100, 0x00080102,
    0x00100020, 0x0020000D, 0x0020000E, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
    0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280301, 0x00290010, 0x00291010, 0x50003000,
    0x60003000, 0x7FE00001, 0x7FE00008, 0x7FE00009, 0x7FE00010, 0x7FE10010, 0xFFFAFFFA, 0xFFFCFFFC,
    0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00020010,
)  # fmt: skip


def length(doc: Doc, random: Random) -> None:
    """Let an element state another length."""
    node = any_node(doc, random)
    true = len(node.value) if isinstance(node.value, bytes) else 0
    node.length = random.choice(
        (*_LENGTHS, true + 1, max(true - 1, 0), true + 2, true + 8, random.getrandbits(32))
    )


def item_length(doc: Doc, random: Random) -> None:
    """Let an item or a fragment state another length."""
    item = _item(doc, random)
    if item is not None:
        item.length = random.choice((*_LENGTHS, random.getrandbits(32), random.randrange(200)))


def vr(doc: Doc, random: Random) -> None:
    """Write an element with another VR."""
    node = any_node(doc, random)
    node.vr = random.choice(_VRS)


def tag(doc: Doc, random: Random) -> None:
    """Give an element another tag, known or not, where it stands or where it belongs."""
    node = any_node(doc, random)
    node.tag = random.choice(
        (random.choice(_TAGS), random.choice(_ODD_TAGS), node.tag ^ 1 << random.randrange(32), node.tag + 1)
    )
    if random.random() < 0.5:
        doc.nodes.sort(key=lambda one: one.tag)


def swap(doc: Doc, random: Random) -> None:
    """Swap two elements of one level."""
    level = _level(doc, random)
    one, other = random.randrange(len(level)), random.randrange(len(level))
    level[one], level[other] = level[other], level[one]


def swap_values(doc: Doc, random: Random) -> None:
    """Let two elements trade their values: what identifies gets a harmless name."""
    one, other = any_node(doc, random), any_node(doc, random)
    one.value, other.value = deepcopy(other.value), deepcopy(one.value)  # one may stand inside the other


def retag(doc: Doc, random: Random) -> None:
    """Put an identifying value under a random attribute of the dictionary, with its VR."""
    vr_, text = random.choice(list(sources.CANARIES.values()))
    chosen = random.choice(_TAGS)
    vr_ = random.choice((vr_, DicomDictionary[chosen][0].split(" ")[0], "UN"))
    level = _level(doc, random)
    level.append(Node(chosen, vr_, padded(text.encode(), vr_)))
    level.sort(key=lambda one: one.tag)


def double(doc: Doc, random: Random) -> None:
    """Write an element twice, beside itself or at the end."""
    level = _level(doc, random)
    place = random.randrange(len(level))
    level.insert(random.choice((place, len(level))), deepcopy(level[place]))


def delete(doc: Doc, random: Random) -> None:
    """Leave out an element, or all of a range."""
    level = _level(doc, random)
    place = random.randrange(len(level))
    del level[place : place + random.choice((1, 1, 1, 2, 10))]


def nest(doc: Doc, random: Random) -> None:
    """Put elements into a sequence, up to deeper than is read."""
    level = _level(doc, random)
    place = random.randrange(len(level))
    inside = level[place : place + random.choice((1, 3))]
    undefined = random.random() < 0.5
    for _ in range(random.choice((1, 2, 12, 63, 64, 65, 200))):
        chosen = random.choice((0x00081140, 0x52009229, 0x00400275, 0x00091010, 0x00289145))
        outer = Node(chosen, random.choice(("SQ", "SQ", "UN")), [Item(inside, undefined)], undefined)
        inside = [Node(chosen, raw=node_bytes(outer, doc.encoding))]  # flat for us, however deep it is
    level[place : place + 1] = inside


def lift(doc: Doc, random: Random) -> None:
    """Move what stands in a sequence to the top."""
    places = [node for node in doc.nodes if isinstance(node.value, list)]
    if places:
        items = random.choice(places).value
        for item in items:
            if isinstance(item, Item) and isinstance(item.value, list):
                doc.nodes.extend(item.value)
    if random.random() < 0.5:
        doc.nodes.sort(key=lambda one: one.tag)


def undefined(doc: Doc, random: Random) -> None:
    """Write an element or an item with undefined length, or no longer so."""
    item = _item(doc, random)
    if item is not None and random.random() < 0.5:
        item.undefined = not item.undefined
        return
    node = any_node(doc, random)
    node.undefined = not node.undefined


def delimiter(doc: Doc, random: Random) -> None:
    """Put a delimiter or an item where none belongs."""
    level = _level(doc, random)
    raw = struct.pack(
        f"{doc.encoding.order}HHI",
        0xFFFE,
        random.choice((0xE000, 0xE00D, 0xE0DD)),
        random.choice((0, 0, 4, 0xFFFFFFFF)),
    )
    level.insert(random.randrange(len(level) + 1), Node(0, raw=raw))


def items(doc: Doc, random: Random) -> None:
    """Double, leave out, empty or reorder the items of a sequence, or multiply them."""
    found = [node for node in doc.all_nodes() if isinstance(node.value, list) and node.value]
    if not found:
        return
    node = random.choice(found)
    value = node.value
    assert isinstance(value, list)
    place = random.randrange(len(value))
    match random.randrange(5):
        case 0:
            value.insert(place, deepcopy(value[place]))
        case 1:
            del value[place]
        case 2:
            value[place].value = b""
        case 3:
            random.shuffle(value)
        case 4:
            node.value = [value[place]]
            size = len(node_bytes(node, doc.encoding))
            node.value = [value[place]] * min(random.choice((10, 1000)), _MOST_BYTES // size)
            node.raw, node.value = node_bytes(node, doc.encoding), b""


def value(doc: Doc, random: Random) -> None:
    """Empty a value, repeat it, make it odd, or fill it with anything."""
    node = any_node(doc, random)
    raw = node.value if isinstance(node.value, bytes) else b""
    node.value = random.choice(
        (
            b"",
            raw[:-1],
            raw[: _MOST_BYTES // 100] * random.choice((2, 100)),
            random.randbytes(random.choice((1, 2, 8, 100, 70000))),
            raw[::-1],
        )
    )


def splice(doc: Doc, random: Random) -> None:
    """Take the elements of another file from some group on, or its pixels alone, or put some of them in."""
    other = _other(random)
    border = random.choice((0x00100000, 0x00200000, 0x00280000, 0x7FE00000))
    match random.randrange(3):
        case 0:
            doc.nodes = [one for one in doc.nodes if one.tag < border] + [
                one for one in other.nodes if one.tag >= border
            ]
        case 1:
            doc.nodes += random.sample(other.nodes, min(len(other.nodes), random.choice((1, 5, 30))))
        case 2:
            doc.nodes = [one for one in other.nodes if one.tag < border] + [
                one for one in doc.nodes if one.tag >= border
            ]
    if random.random() < 0.5:
        doc.nodes.sort(key=lambda one: one.tag)


def private(doc: Doc, random: Random) -> None:
    """Move, double or rename what names the creator of a private block, or write one of no creator."""
    found = [one for one in doc.all_nodes() if one.tag >> 16 & 1]
    if not found or random.random() < 0.3:
        names = ("SIEMENS CSA HEADER", "GEMS_PARM_01", "Philips Imaging DD 001", "", "QZXJVKWQ^HJZQXKVW")
        group = random.choice((0x0019, 0x0029, 0x0043, 0x2001))
        doc.nodes.append(Node(group << 16 | 0x10, "LO", padded(random.choice(names).encode(), "LO")))
        chosen = group << 16 | 0x1000 | random.choice((3, 0x0C, 0x10, 0x20, 0x39))
        doc.nodes.append(Node(chosen, random.choice(("UN", "IS", "DS", "OB", "LO")), b"ZXQJKWVZ4711 CALLED"))
        doc.nodes.sort(key=lambda one: one.tag)
        return
    one = random.choice(found)
    one.tag = one.tag & 0xFFFF00FF | random.choice((0, 0x10, 0x11, 0x20)) << 8


OPERATORS: tuple[Operator, ...] = (
    length, item_length, vr, tag, swap, swap_values, retag, double,
    delete, nest, lift, undefined, delimiter, items, value, splice,
    private,
)  # fmt: skip


def any_node(doc: Doc, random: Random) -> Node:
    """Return any element at any depth."""
    found = doc.all_nodes()
    return random.choice(found) if found else Node(0x00080005)


def _level(doc: Doc, random: Random) -> list[Node]:
    levels = [doc.nodes, *(level for level, _node in doc.places())]
    level = random.choice(levels)
    if not level:
        level.append(Node(0x00081030, "LO", b"QZXJVKWQ"))
    return level


def _item(doc: Doc, random: Random) -> Item | None:
    found = [item for node in doc.all_nodes() if isinstance(node.value, list) for item in node.value]
    return random.choice(found) if found else None


def _other(random: Random) -> Doc:
    return read(sources.source(random.choice(sources.names())).file)
