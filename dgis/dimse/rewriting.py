"""A data set in another uncompressed transfer syntax: headers of elements written anew, values as they are.

Nothing is decoded; bytes are swapped where big endian comes in, and group lengths (retired) are left out, as
they would be wrong. The pixels pass in pieces: memory holds the header only (PS3.5 section 7, annex A).
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct

from deid.elements import UNDEFINED, Element, Encoding, WalkError, elements, encoding_of, items
from deid.vr import LONG_VRS, agreed_vr, is_private_creator
from dgis.dimse.fragments import Buffer
from dgis.dimse.services import Outgoing
from dgis.dimse.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # float, double float, integer
_PIXEL_REPRESENTATION = 0x00280103
_MOST_HEADER_BYTES = 256 << 20

_IMPLICIT = Struct("<HHI")
_SHORT = Struct("<HH2sH")
_LONG = Struct("<HH2sHI")
_MOST_SHORT_BYTES = 0xFFFE
_NO_LENGTH = 0xFFFFFFFF
_SEQUENCE_END = _IMPLICIT.pack(0xFFFE, 0xE0DD, 0)
_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 12

# Bytes of the words that a VR is made of (PS3.5 7.3); array type codes of that size.
_WORDS = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), "H"),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I"),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q"),
}


class Rewriter:
    """A `Transcoder` among the uncompressed transfer syntaxes."""

    def targets(self, sop_class_uid: str, transfer_syntax: str) -> Sequence[str]:
        """List the two that every receiver knows; nothing for what is compressed or deflated."""
        del sop_class_uid
        if transfer_syntax not in (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE):
            return ()
        return tuple(uid for uid in (EXPLICIT_LE, IMPLICIT_LE) if uid != transfer_syntax)

    def convert(self, instance: Outgoing, target: str) -> Iterable[Buffer]:
        """Yield the data set in `target`.

        Raises:
            WalkError: the bytes are no well-formed data set of the transfer syntax they are said to have.
        """
        return rewrite(instance.open(), encoding_of(instance.transfer_syntax), encoding_of(target))


def rewrite(pieces: Iterable[Buffer], source: Encoding, target: Encoding) -> Iterator[Buffer]:
    """Yield a data set, given in pieces in one encoding, in another (little endian) one.

    Raises:
        WalkError: the bytes are no well-formed data set.
    """
    incoming = iter(pieces)
    head = bytearray()
    looked = 0
    for piece in incoming:
        head += piece
        if len(head) >= looked:
            looked = 2 * len(head)
            pixels = _find_pixels(head, source)
            if pixels is not None:
                yield from _rewrite_around(head, pixels, incoming, _Writer(source, target))
                return
        if len(head) > _MOST_HEADER_BYTES:
            raise WalkError(f"no pixels in the first {len(head)} bytes")
    yield _Writer(source, target).level(head, source, 0, len(head))


def _find_pixels(head: bytearray, source: Encoding) -> Element | None:
    """Return the pixel element once its header is there, whether or not its value is."""
    end = 0
    try:
        for element in elements(head, source):
            if element.tag in _PIXELS:
                return element
            end = element.end
    except WalkError:
        return _cut_element(head, end, source)
    return None


def _cut_element(head: bytearray, start: int, source: Encoding) -> Element | None:
    """Read the header of an element whose value is not all there, if it is one of pixels."""
    if len(head) - start < _LONG_HEADER_BYTES:
        return None
    if source.implicit:
        group, number, length = _IMPLICIT.unpack_from(head, start)
        vr, value = b"OW", start + _HEADER_BYTES
    else:
        form = Struct(source.order + "HH2sHI")
        group, number, vr, _, length = form.unpack_from(head, start)
        value = start + _LONG_HEADER_BYTES
    tag = group << 16 | number
    if tag not in _PIXELS or length == _NO_LENGTH:
        return None
    return Element(tag, vr.decode("ascii", "replace"), start, value, length, value + length)


def _rewrite_around(
    head: bytearray, pixels: Element, incoming: Iterator[Buffer], writer: "_Writer"
) -> Iterator[Buffer]:
    """Yield what stands before the pixels, the pixels as they come, and what stands behind them."""
    if pixels.length == UNDEFINED:
        raise WalkError("encapsulated pixels in an uncompressed transfer syntax")
    vr = writer.vr_of(pixels)
    yield writer.level(head, writer.source, 0, pixels.start) + writer.header(pixels.tag, vr, pixels.length)
    swap = _Swap(_WORDS.get(vr) if writer.source is Encoding.EXPLICIT_BE else None)
    left = pixels.length
    tail = bytearray()
    rest: Buffer = bytes(head[pixels.value :])
    while True:
        view = memoryview(rest)
        if left:
            yield swap.words(view[:left])
        tail += view[left:]
        left = max(left - len(view), 0)
        following = next(incoming, None)
        if following is None:
            break
        rest = following
    if left:
        raise WalkError(f"{left} bytes of pixels are missing")
    yield swap.rest() + writer.level(tail, writer.source, 0, len(tail))


class _Swap:
    """Swaps the bytes of words that may be cut between two pieces; without a word it passes them on."""

    def __init__(self, code: str | None) -> None:
        self._code = code
        self._over = b""

    def words(self, piece: Buffer) -> Buffer:
        if self._code is None:
            return piece
        joined = self._over + bytes(piece)
        swapped = array(self._code)
        whole = len(joined) - len(joined) % swapped.itemsize
        swapped.frombytes(joined[:whole])
        swapped.byteswap()
        self._over = joined[whole:]
        return swapped.tobytes()

    def rest(self) -> bytes:
        """What does not fill a word: a broken value, kept as it is."""
        rest, self._over = self._over, b""
        return rest


class _Writer:
    """Writes elements of one encoding in another."""

    def __init__(self, source: Encoding, target: Encoding) -> None:
        self.source = source
        self._target = target
        self._signed = False

    def level(self, buffer: Buffer, encoding: Encoding, start: int, stop: int) -> bytes:
        """Return the elements of one level of `buffer[start:stop]`, written anew."""
        parts: list[bytes] = []
        for element in elements(buffer, encoding, start, stop):
            if element.tag & 0xFFFF == 0:
                continue
            vr = self.vr_of(element) if encoding.implicit else element.vr
            if element.tag == _PIXEL_REPRESENTATION:
                self._signed = any(buffer[element.value : element.end])
            if vr == "SQ" or element.length == UNDEFINED:
                parts += self._sequence(buffer, element, vr, encoding)
            else:
                value = self._value(buffer, element, vr, encoding)
                parts += (self.header(element.tag, vr, len(value)), value)
        return b"".join(parts)

    def vr_of(self, element: Element) -> str:
        """Return the VR to write; where the source has none, that of the dictionary."""
        if not self.source.implicit:
            return element.vr
        if is_private_creator(element.tag):
            return "LO"
        return agreed_vr(element.tag, element.vr, implicit=True, signed=self._signed) or "UN"

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Return an element header; what is too long for its VR becomes UN (PS3.5 6.2.2)."""
        group, number = tag >> 16, tag & 0xFFFF
        if self._target.implicit:
            return _IMPLICIT.pack(group, number, length)
        if vr not in LONG_VRS and length > _MOST_SHORT_BYTES:
            vr = "UN"
        if vr in LONG_VRS:
            return _LONG.pack(group, number, vr.encode(), 0, length)
        return _SHORT.pack(group, number, vr.encode(), length)

    def _sequence(self, buffer: Buffer, element: Element, vr: str, encoding: Encoding) -> tuple[bytes, ...]:
        """Write a sequence; one of a private element keeps an open end, or implicit would hide what it is."""
        body = self._items(buffer, element, vr, encoding)
        hidden = self._target.implicit and element.tag >> 16 & 1 == 1
        if element.length != UNDEFINED and not hidden:
            return self.header(element.tag, vr, len(body)), body
        return self.header(element.tag, vr, _NO_LENGTH), body, _SEQUENCE_END

    def _items(self, buffer: Buffer, element: Element, vr: str, encoding: Encoding) -> bytes:
        if vr not in ("SQ", "UN"):
            raise WalkError(f"undefined length at offset {element.start}")
        # What stands inside UN is implicit, whatever is around it (PS3.5 6.2.2 note 4).
        inner = _Writer(self.source, Encoding.IMPLICIT_LE) if vr == "UN" else self
        parts: list[bytes] = []
        for item in items(buffer, element, encoding):
            body = inner.level(buffer, item.encoding, item.start, item.stop)
            parts += (_IMPLICIT.pack(0xFFFE, 0xE000, len(body)), body)
        return b"".join(parts)

    def _value(self, buffer: Buffer, element: Element, vr: str, encoding: Encoding) -> bytes:
        value = bytes(buffer[element.value : element.end])
        code = _WORDS.get(vr) if encoding is Encoding.EXPLICIT_BE else None
        swap = _Swap(code)
        return bytes(swap.words(value)) + swap.rest()
