"""Walking headers that are laid out like one before, as the images of a series mostly are.

Where the elements of a header lie follows from their heads alone: tag, VR and length. A header that has the
same heads in the same places is therefore laid out alike, and one comparison of all of them spares the walk.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from struct import Struct

from deid.elements import Buffer, Encoding
from deid.vr import FORMS

Place = tuple[int, int, int]
"""Tag, offset of the value, bytes of the value."""

_HEAD_BYTES, _LENGTH_BYTES = 8, 4  # of an element; of the length that follows it in the long form
_DELIMITER_GROUP = 0xFFFE
_UNDEFINED = 0xFFFFFFFF
_MOST_ELEMENTS = 1024  # of a layout
_MOST_LAYOUTS = 4  # series that one thread meets in turn
_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHI").unpack_from
_LENGTH = Struct("<I").unpack_from


@dataclass(frozen=True, slots=True)
class Beginning:
    """The plain elements a header begins with: little endian, of defined length.

    `wanted` are places of those asked for. `end` is where the first other element begins; `over` says that
    its tag is beyond the last one asked for.
    """

    wanted: tuple[Place, ...]
    end: int
    over: bool


@dataclass(frozen=True, slots=True)
class _Layout:
    """Heads and places of plain elements, `count` of them, and of the one that is beyond."""

    beginning: Beginning
    form: Struct
    heads: tuple[bytes, ...]

    def same(self, header: Buffer) -> int:
        """Return how many heads stand in another header just there, before the first that does not."""
        if len(header) < self.form.size:
            return 0
        found = self.form.unpack_from(header)
        if found == self.heads:
            return len(found)
        return next(n for n, (one, other) in enumerate(zip(found, self.heads, strict=True)) if one != other)


class Walker:
    """Walks headers up to the last tag that is asked for; each thread remembers layouts of its own.

    Nothing of a value is remembered.
    """

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted = frozenset(wanted)
        self._last_tag = max(wanted)
        self._known = threading.local()

    def walk(self, header: Buffer, encoding: Encoding) -> Beginning:
        """Return the beginning of a header; what follows it is for a walk of all kinds of elements.

        Nothing is believed that reaches beyond `header`.
        """
        if encoding is Encoding.EXPLICIT_BE:
            return Beginning((), 0, over=False)
        layouts = self._layouts(encoding)
        best, most = 0, 0
        for place, layout in enumerate(layouts):
            same = layout.same(header)
            if same == len(layout.heads):
                if place:
                    layouts.insert(0, layouts.pop(place))
                return self._completed(layout.beginning, header, encoding)
            if same > most:
                best, most = place, same
        places, end, over = self._plain(header, encoding, 0)
        if 2 * most > len(places):
            # The heads that differ from image to image are left out: decimal numbers of many lengths.
            layouts[best] = self._layout(header, places[:most], over=False)
        else:
            layouts.insert(0, self._layout(header, places, over=over))
            del layouts[_MOST_LAYOUTS:]
        return self._beginning(places, end, over=over)

    def _layouts(self, encoding: Encoding) -> list[_Layout]:
        """Return what this thread remembers, the last one met first."""
        name = encoding.name
        try:
            known: list[_Layout] = self._known.__dict__[name]
        except KeyError:
            known = self._known.__dict__[name] = []
        return known

    def _completed(self, known: Beginning, header: Buffer, encoding: Encoding) -> Beginning:
        if known.over:
            return known
        places, end, over = self._plain(header, encoding, known.end)
        if not places:
            return Beginning(known.wanted, end, over) if over else known
        return Beginning((*known.wanted, *self._of(places)), end, over)

    def _beginning(self, places: list[Place], end: int, *, over: bool) -> Beginning:
        return Beginning(tuple(self._of(places)), end, over)

    def _of(self, places: list[Place]) -> list[Place]:
        return [place for place in places if place[0] in self._wanted]

    def _layout(self, header: Buffer, places: list[Place], *, over: bool) -> _Layout:
        parts, end = ["<"], 0
        for _tag, value, length in places:
            parts.append(f"{value - end}s{length}x")
            end = value + length
        if over:
            parts.append(f"{_HEAD_BYTES}s")
        form = Struct("".join(parts))
        return _Layout(self._beginning(places, end, over=over), form, form.unpack_from(header))

    def _plain(self, header: Buffer, encoding: Encoding, start: int) -> tuple[list[Place], int, bool]:
        found: list[Place] = []
        position, end = start, len(header)
        implicit = encoding is Encoding.IMPLICIT_LE
        while end - position >= _HEAD_BYTES and len(found) < _MOST_ELEMENTS:
            value = position + _HEAD_BYTES
            vr = b""
            if implicit:
                group, number, length = _IMPLICIT(header, position)
            else:
                group, number, vr, length = _EXPLICIT(header, position)
            if group == _DELIMITER_GROUP:
                break
            tag = group << 16 | number
            if tag > self._last_tag:
                return found, position, True
            if not implicit:
                form = FORMS.get(vr)
                if form is None:
                    break
                if form[1]:
                    if end - value < _LENGTH_BYTES:
                        break
                    (length,) = _LENGTH(header, value)
                    value += _LENGTH_BYTES
            if length == _UNDEFINED or length > end - value:
                break
            found.append((tag, value, length))
            position = value + length
        return found, position, False
