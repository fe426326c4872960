"""Values of a small header in explicit VR little endian, read by what each tag must hold, not by its VR."""

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deid.elements import Buffer, Element, Encoding, elements, items


class Attributes:
    """The elements of a data set or an item; nothing is read before it is asked for.

    Raises:
        deid.elements.WalkError: the bytes are no well-formed data set.
    """

    def __init__(
        self,
        buffer: Buffer,
        encoding: Encoding = Encoding.EXPLICIT_LE,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self._buffer = buffer
        self._encoding = encoding
        self._found: dict[int, Element] = {each.tag: each for each in elements(buffer, encoding, start, stop)}

    def raw(self, tag: int) -> bytes:
        """Return a value as it lies; b"" where there is none."""
        found = self._found.get(tag)
        return b"" if found is None else bytes(self._buffer[found.value : found.value_end])

    def text(self, tag: int) -> str:
        """Return a text of one value without its padding; "" where there is none."""
        return self.raw(tag).decode("ascii", "replace").strip("\0 ")

    def decimals(self, tag: int) -> list[float]:
        """Return finite decimal or integer strings (DS, IS); values that are none are left out."""
        return [each for each in map(_decimal, self.text(tag).split("\\")) if each is not None]

    def shorts(self, tag: int, *, signed: bool = False) -> NDArray[np.int64]:
        """Return whole numbers of 16 bits (US, SS, OW)."""
        value = self.raw(tag)
        kind = "<i2" if signed else "<u2"
        return np.frombuffer(value[: len(value) & ~1], kind).astype(np.int64)

    def short(self, tag: int, default: int = 0) -> int:
        """Return the first of them."""
        found = self.shorts(tag)
        return int(found[0]) if found.size else default

    def items(self, tag: int) -> Iterator[Self]:
        """Yield the items of a sequence."""
        found = self._found.get(tag)
        if found is not None:
            for item in items(self._buffer, found, self._encoding):
                yield type(self)(self._buffer, item.encoding, item.start, item.stop)

    def item(self, tag: int, number: int = 0) -> Self | None:
        """Return one item of a sequence, counted from 0; None where there is none."""
        found = self._found.get(tag)
        if found is None:
            return None
        for place, item in enumerate(items(self._buffer, found, self._encoding)):
            if place == number:
                return type(self)(self._buffer, item.encoding, item.start, item.stop)
        return None


def _decimal(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
