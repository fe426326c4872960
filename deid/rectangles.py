import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

_WRITTEN = re.compile(r"(\d{1,6}),(\d{1,6}),(\d{1,6})x(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Rectangle:
    """Pixels of every row from `y` and every column from `x` on, counted from 0 at the top left.

    Raises:
        ValueError: it begins before the image, or holds no pixel.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError(f"a rectangle begins at 0,0 or behind it and holds a pixel at least, not {self}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `X,Y,WIDTHxHEIGHT`.

        Raises:
            ValueError: it is written otherwise, or holds no pixel.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"a rectangle is written X,Y,WIDTHxHEIGHT in pixels, not {text!r}")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width}x{self.height}"

    def clipped(self, rows: int, columns: int) -> "Rectangle | None":
        """Return what of it lies in an image; None where nothing does."""
        width, height = min(self.width, columns - self.x), min(self.height, rows - self.y)
        return Rectangle(self.x, self.y, width, height) if width > 0 and height > 0 else None


def outside(regions: Iterable[Rectangle], rows: int, columns: int) -> tuple[Rectangle, ...]:
    """Return rectangles that hold every pixel of an image that lies in no region, and no other."""
    inside = [each for region in regions if (each := region.clipped(rows, columns)) is not None]
    borders = sorted({0, rows, *(each.y for each in inside), *(each.y + each.height for each in inside)})
    found: list[Rectangle] = []
    for top, bottom in pairwise(borders):
        spans = sorted(
            (each.x, each.x + each.width) for each in inside if each.y <= top < each.y + each.height
        )
        found += (Rectangle(x, top, end - x, bottom - top) for x, end in _gaps(spans, columns))
    return tuple(found)


def _gaps(spans: Iterable[tuple[int, int]], columns: int) -> Iterator[tuple[int, int]]:
    position = 0
    for start, end in spans:
        if start > position:
            yield position, start
        position = max(position, end)
    if position < columns:
        yield position, columns
