"""A header written as JSON or XML, element by element from its bytes; long values by their URIs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catalog.charset import Encodings, encodings_of
from deid.elements import MAX_DEPTH, UNDEFINED, Element, Encoding, WalkError, elements, items
from dgis.dicomweb.forms import Form
from dgis.dicomweb.multipart import Buffer
from dgis.dicomweb.values import BINARY, values

LONGEST_INLINE_BYTES = 1024
"""Of a binary value that stands in the answer itself."""

PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # PS3.3 C.7.6.3, C.7.6.24, C.7.6.25
_CHARACTER_SET = 0x00080005
_UTF_8 = "ISO_IR 192"
_MEMO_BYTES = 128
_MOST_KEPT = 20_000
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF  # private creators, PS3.5 7.8.1


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one instance: stretches of elements, and the pixel element where it lies apart."""

    stretches: Sequence[Buffer] = field(repr=False)
    encoding: Encoding
    pixel: tuple[int, str] | None = None  # tag and VR, between the first stretch and the next


class Describer:
    """Writes the headers of one answer; what repeats from one instance to the next is written once."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._known: dict[tuple[int, str, bytes, tuple[Encodings, str], str], str] = {}

    def write(self, header: Header, uri: str) -> bytes:
        """Return one instance; `uri` is that of its bulk data, to which the path of an element is added.

        Raises:
            WalkError: its bytes are no well-formed data set.
        """
        level = _Level(self, header.encoding, uri)
        written: list[str] = []
        for number, stretch in enumerate(header.stretches):
            written += level.write(stretch, 0, len(stretch))
            if number == 0 and header.pixel is not None:
                tag, vr = header.pixel
                written.append(self._form.bulk(tag, vr, f"{uri}/{tag:08X}", ""))
        return self._form.document(written)

    def minimal(self, sop_class_uid: str, sop_instance_uid: str) -> bytes:
        """Return what is known of an instance whose header cannot be read."""
        known = ((0x00080016, sop_class_uid), (0x00080018, sop_instance_uid))
        return self._form.document([self._form.plain(tag, "UI", [value], "") for tag, value in known])

    def plain(self, tag: int, vr: str, raw: bytes, read: tuple[Encodings, str], creator: str) -> str:
        """Return an element whose value stands in the answer; `read` is by which character set and order."""
        if tag == _CHARACTER_SET:
            return self._form.plain(tag, vr, [_UTF_8], "")
        key = (tag, vr, raw, read, creator)
        found = self._known.get(key)
        if found is None:
            if vr in BINARY:
                found = self._form.binary(tag, vr, raw, creator)
            else:
                found = self._form.plain(tag, vr, values(raw, vr, *read), creator)
            if len(raw) <= _MEMO_BYTES and len(self._known) < _MOST_KEPT:
                self._known[key] = found
        return found

    @property
    def form(self) -> Form:
        """What it writes in."""
        return self._form


class _Level:
    """One level of a data set: its character set and its private creators."""

    def __init__(
        self, describer: Describer, encoding: Encoding, uri: str, encodings: Encodings = (), depth: int = 0
    ) -> None:
        self._describer = describer
        self._encoding = encoding
        self._uri = uri
        self._encodings = encodings
        self._depth = depth
        self._creators: dict[int, str] = {}

    def write(self, buffer: Buffer, start: int, stop: int) -> Iterator[str]:
        if self._depth > MAX_DEPTH:
            raise WalkError(f"nested deeper than {MAX_DEPTH}")
        for element in elements(buffer, self._encoding, start, stop):
            if element.tag & 0xFFFF:  # group lengths are none of the model's (F.2.2)
                yield self._element(buffer, element)

    def _element(self, buffer: Buffer, element: Element) -> str:
        tag, vr, _start, value, length, _end = element
        form, creator = self._describer.form, self._creator(tag)
        if vr == "SQ" or (vr == "UN" and length == UNDEFINED):
            return form.sequence(tag, self._items(buffer, element), creator)
        size = element.value_end - value
        own = tag in PIXELS and not self._depth
        if own or length == UNDEFINED or (vr in BINARY and size > LONGEST_INLINE_BYTES):
            return form.bulk(tag, vr, f"{self._uri}/{tag:08X}", creator)
        raw = bytes(buffer[value : element.value_end])
        self._learn(tag, raw)
        return self._describer.plain(tag, vr, raw, (self._encodings, self._encoding.order), creator)

    def _items(self, buffer: Buffer, element: Element) -> Iterator[str]:
        for number, item in enumerate(items(buffer, element, self._encoding), 1):
            uri = f"{self._uri}/{element.tag:08X}/{number}"
            inner = _Level(self._describer, item.encoding, uri, self._encodings, self._depth + 1)
            yield self._describer.form.level(list(inner.write(buffer, item.start, item.stop)))

    def _learn(self, tag: int, raw: bytes) -> None:
        if tag == _CHARACTER_SET:
            self._encodings = encodings_of(raw)
        elif tag >> 16 & 1 and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK:
            self._creators[tag] = raw.decode("latin-1").strip(" \0")

    def _creator(self, tag: int) -> str:
        if not tag >> 16 & 1:
            return ""
        return self._creators.get(tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8, "")
