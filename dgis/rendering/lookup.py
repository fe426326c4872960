"""Look-up tables: modality, values of interest, palettes (PS3.3 C.11.1.1, C.11.2.1.1, C.7.9)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.errors import NoPictureError

_WORDS = 3
_MOST_ENTRIES = 1 << 16
_BYTE_BITS = 8


class Descriptor(NamedTuple):
    """Of how many entries, from which input on, of how many bits each."""

    entries: int
    first: int
    bits: int


def descriptor(raw: bytes, *, signed_input: bool) -> Descriptor | None:
    """Read a LUT Descriptor; the first input has the sign of what goes in. None where there is none."""
    if len(raw) != _WORDS * 2:
        return None
    count, first, bits = (int(each) for each in np.frombuffer(raw, "<u2"))
    if signed_input:
        first = first - (1 << 16) if first >> 15 else first
    return Descriptor(count or _MOST_ENTRIES, first, bits)


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the input of its first entry; what lies outside takes the nearest end."""

    values: NDArray[np.int64]
    first: int
    bits: int  # of an entry

    @classmethod
    def of(cls, said: Descriptor, data: bytes) -> Self:
        """Read the entries: 16-bit words, or bytes where there are too few for words.

        Raises:
            NoPictureError: they are fewer than described.
        """
        kind = "<u2" if len(data) >= 2 * said.entries else np.uint8
        values = np.frombuffer(data[: len(data) & ~1], kind)[: said.entries].astype(np.int64)
        if values.size < said.entries:
            raise NoPictureError("a look-up table that is cut")
        bits = said.bits if 0 < said.bits <= 16 else 16  # noqa: PLR2004 - PS3.3 C.11.1.1.1: 16 at most
        # Descriptors that promise fewer bits than the entries have are common: the entries decide.
        return cls(values, said.first, max(bits, int(values.max()).bit_length()))

    @property
    def most(self) -> int:
        """The highest value an entry can have."""
        return (1 << self.bits) - 1

    def look_up(self, inputs: NDArray[Any]) -> NDArray[np.int64]:
        """Return the entry of each input."""
        places = np.clip(np.rint(inputs) - self.first, 0, self.values.size - 1)
        found: NDArray[np.int64] = self.values[places.astype(np.intp)]
        return found


def palette_plane(said: Descriptor | None, data: bytes, segments: bytes) -> Table:
    """Return one plane of a palette, segmented or not.

    Raises:
        NoPictureError: it is absent, cut or damaged.
    """
    if said is None or not (data or segments):
        raise NoPictureError("a palette that is not there")
    if data:
        return Table.of(said, data)
    wide = said.bits > _BYTE_BITS
    values = _expanded(segments[: len(segments) & ~1], said.entries, wide=wide)
    return Table(values, said.first, 16 if wide else _BYTE_BITS)


def _expanded(segments: bytes, entries: int, *, wide: bool) -> NDArray[np.int64]:
    """Write out a segmented palette (PS3.3 C.7.9.2): discrete, linear and indirect segments."""
    words = np.frombuffer(segments, "<u2" if wide else np.uint8).astype(np.int64)
    made = np.zeros(entries, np.int64)
    filled, position = 0, 0
    runs: list[tuple[int, int]] = []  # of indirect segments: how many are still to be copied, where to return
    while filled < entries and position + 1 < words.size:
        kind, length = int(words[position]), int(words[position + 1])
        follows = position + 2
        if kind == 0:
            piece = words[follows : follows + length]
            position = follows + length
        elif kind == 1 and filled and follows < words.size:
            start = made[filled - 1]
            steps = np.arange(1, length + 1) / max(length, 1)
            piece = np.rint(start + (words[follows] - start) * steps).astype(np.int64)
            position = follows + 1
        elif kind == 2 and not runs and follows + (2 if wide else 4) <= words.size:  # noqa: PLR2004 - the opcode
            parts = [int(each) for each in words[follows : follows + (2 if wide else 4)]]
            base = 16 if wide else 8
            target = sum(part << base * place for place, part in enumerate(parts))
            runs.append((length, follows + len(parts)))
            position = target  # counted in words of the segments, from their beginning
            continue
        else:
            break
        taken = piece[: entries - filled]
        made[filled : filled + taken.size] = taken
        filled += taken.size
        if runs:
            left, back = runs.pop()
            if left > 1:
                runs.append((left - 1, back))
            else:
                position = back
    if filled < entries:
        raise NoPictureError("a segmented palette that is damaged")
    return made
