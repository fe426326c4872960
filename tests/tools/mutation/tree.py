"""A DICOM file as a tree that can be bent out of shape: what it says of lengths need not be true."""

import struct
import zlib
from dataclasses import dataclass, field
from functools import cache

from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import (
    UNDEFINED,
    Element,
    Encoding,
    WalkError,
    detect_encoding,
    elements,
    encoding_of,
    items,
)
from deid.files.part10 import read_part10
from deid.values import little_endian
from deid.vr import LONG_VRS

SYNTAX, PIXELS = 0x00020010, 0x7FE00010
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, PIXELS)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_NO_LENGTH = 0xFFFFFFFF
_MOST_INFLATED = 8 << 20


@dataclass
class Node:
    """One element. `length` is the one it states where that is not the true one; `raw` is all of it."""

    tag: int
    vr: str = "UN"
    value: "bytes | list[Item]" = b""
    undefined: bool = False
    length: int | None = None
    raw: bytes | None = None


@dataclass
class Item:
    """One item of a sequence, or one fragment (then `value` is bytes)."""

    value: "bytes | list[Node]" = b""
    undefined: bool = False
    length: int | None = None


@dataclass
class Doc:
    """A file: what stands before the data set, its elements, and bytes behind them that are no elements."""

    preamble: bytes = b""
    meta: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    encoding: Encoding = Encoding.EXPLICIT_LE
    deflated: bool = False
    zeros: int = 0  # megabytes behind the elements, inside the deflated stream
    tail: bytes = b""

    @property
    def syntax(self) -> str:
        """The transfer syntax the meta information names."""
        found = next((one.value for one in self.meta if one.tag == SYNTAX), b"")
        return found.decode("latin_1").strip(" \0") if isinstance(found, bytes) else ""

    def say_syntax(self, uid: str) -> None:
        """Let the meta information name another transfer syntax; the elements stay as they are."""
        node = Node(SYNTAX, "UI", padded(uid.encode(), "UI"))
        self.meta = [one for one in self.meta if one.tag != SYNTAX] + [node]

    def all_nodes(self) -> list[Node]:
        """Return every element at every depth."""
        return [node for _level, node in self.places()]

    def places(self) -> list[tuple[list[Node], Node]]:
        """Return every element with the list it stands in."""
        found: list[tuple[list[Node], Node]] = []
        _collect(self.nodes, found)
        return found

    def written(self) -> bytes:
        """Return the file."""
        head = self.preamble
        if self.meta:
            body = b"".join(node_bytes(one, Encoding.EXPLICIT_LE) for one in self.meta)
            length = Node(0x00020000, "UL", struct.pack("<I", len(body)))
            head += node_bytes(length, Encoding.EXPLICIT_LE) + body
        data = b"".join(node_bytes(one, self.encoding) for one in self.nodes)
        if self.deflated:
            packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
            flushed = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
            data = flushed + _zeros() * self.zeros + packer.flush()
        return head + data + self.tail


@cache
def _zeros() -> bytes:
    """Return a megabyte of zeros, deflated, that may stand anywhere in a stream."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)


def padded(value: bytes, vr: str) -> bytes:
    """Return a value of even length."""
    return value + (b"\0" if vr in {"UI", "OB", "UN"} else b" ") * (len(value) % 2)


def read(file: bytes) -> Doc:
    """Take a file apart as far as it can be followed; the rest is its tail."""
    found = read_part10(file)
    if found is None:
        return Doc(tail=file)
    doc = Doc()
    start = 132 if file[128:132] == b"DICM" else 0
    doc.preamble = file[:start]
    if found.start > start:
        meta = elements(file, Encoding.EXPLICIT_LE, start, found.start)
        doc.meta = [_leaf(file, one) for one in meta if one.tag & 0xFFFF]
    data = file[found.start :]
    if is_deflated(found.transfer_syntax):
        try:
            data, doc.deflated = inflate_bounded(data, _MOST_INFLATED), True
        except InflateError:
            return Doc(preamble=doc.preamble, meta=doc.meta, tail=data)
    doc.encoding = detect_encoding(data, encoding_of(found.transfer_syntax))
    end = 0
    try:
        for one in elements(data, doc.encoding):
            doc.nodes.append(_branch(data, one, doc.encoding))
            end = one.end
    except WalkError:
        doc.tail = data[end:]
    return doc


def encode_again(doc: Doc, encoding: Encoding) -> None:
    """Write the elements in another encoding from now on, numbers and all; what is kept raw goes."""
    swapped = (doc.encoding is Encoding.EXPLICIT_BE) != (encoding is Encoding.EXPLICIT_BE)
    doc.encoding = encoding
    for level, node in doc.places():
        if node.raw is not None:
            level[:] = [one for one in level if one is not node]
        elif swapped and isinstance(node.value, bytes):
            node.value = little_endian(node.vr, node.value)


def _collect(level: list[Node], found: list[tuple[list[Node], Node]]) -> None:
    for node in level:
        found.append((level, node))
        if isinstance(node.value, list):
            for item in node.value:
                if isinstance(item.value, list):
                    _collect(item.value, found)


def _leaf(data: bytes, one: Element) -> Node:
    return Node(one.tag, one.vr, data[one.value : one.value_end])


def _branch(data: bytes, one: Element, encoding: Encoding) -> Node:
    undefined = one.length == UNDEFINED
    if one.vr != "SQ" and not undefined:
        return _leaf(data, one)
    try:
        inside = list(items(data, one, encoding))
        if one.tag == PIXELS:
            fragments = [Item(data[each.start : each.stop]) for each in inside]
            return Node(one.tag, one.vr, fragments, undefined)
        if all(each.encoding is encoding for each in inside):
            made = [
                Item(
                    [
                        _branch(data, each, encoding)
                        for each in elements(data, encoding, item.start, item.stop)
                    ]
                )
                for item in inside
            ]
            return Node(one.tag, "SQ", made, undefined)
    except WalkError:
        pass
    return Node(one.tag, one.vr, raw=data[one.start : one.end])


def node_bytes(node: Node, encoding: Encoding) -> bytes:
    """Return one element as it is written."""
    if node.raw is not None:
        return node.raw
    order = encoding.order
    value = node.value
    if isinstance(value, list):
        value = b"".join(_item(one, encoding) for one in value)
        if node.undefined:
            value += struct.pack(f"{order}HHI", 0xFFFE, _SEQUENCE_END, 0)
    length = len(value) if node.length is None else node.length
    if node.undefined and node.length is None:
        length = _NO_LENGTH
    head = struct.pack(f"{order}HH", node.tag >> 16 & 0xFFFF, node.tag & 0xFFFF)
    if encoding.implicit or node.tag >> 16 == 0xFFFE:
        return head + struct.pack(f"{order}I", length & _NO_LENGTH) + value
    vr = node.vr.encode("latin_1")[:2].ljust(2)
    if node.vr in LONG_VRS or node.undefined or (length > 0xFFFF and node.length is None):
        if node.vr not in LONG_VRS:
            vr = b"UN"
        return head + vr + bytes(2) + struct.pack(f"{order}I", length & _NO_LENGTH) + value
    return head + vr + struct.pack(f"{order}H", length & 0xFFFF) + value


def _item(item: Item, encoding: Encoding) -> bytes:
    order = encoding.order
    value = item.value
    if isinstance(value, list):
        value = b"".join(node_bytes(one, encoding) for one in value)
    length = len(value) if item.length is None else item.length
    if item.undefined:
        length = _NO_LENGTH
        value += struct.pack(f"{order}HHI", 0xFFFE, _ITEM_END, 0)
    return struct.pack(f"{order}HHI", 0xFFFE, _ITEM, length & _NO_LENGTH) + value
