"""The query of a URL (PS3.18 8.3): names and values, bounded, each read once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl

from starlette.requests import Request

from dgis.web.problems import Problem

_MOST_BYTES = 32 << 10
_MOST_PAIRS = 1024


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request, in order."""

    pairs: Sequence[tuple[str, str]] = field(repr=False)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read those of a request.

        Raises:
            Problem: 414 where they are longer than any query is; 400 where they are not UTF-8.
        """
        raw: bytes = request.scope["query_string"]
        if not raw:
            return cls(())
        if len(raw) > _MOST_BYTES:
            raise Problem(414, "query_too_long", "the query is longer than any here needs")
        try:
            text = raw.decode("ascii")
            pairs = parse_qsl(text, True, errors="strict", max_num_fields=_MOST_PAIRS)
        except ValueError:
            raise Problem(
                400, "query", "the query cannot be read: too many parameters, or no UTF-8"
            ) from None
        return cls(tuple(pairs))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def several(self, name: str) -> list[str]:
        """Return the values of a name."""
        return [value for key, value in self.pairs if key == name]

    def one(self, name: str) -> str | None:
        """Return the value of a name.

        Raises:
            Problem: 400 where it is given more than once.
        """
        found = self.several(name)
        if len(found) > 1:
            raise Problem(400, "query", f"{name} is given more than once")
        return found[0] if found else None

    def whole(self, name: str, most: int) -> int | None:
        """Return a number of a name, from 0.

        Raises:
            Problem: 400 where it is none.
        """
        text = self.one(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))) or int(text) > most:
            raise Problem(400, "query", f"{name} is a number from 0 to {most}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return whether a name says "true".

        Raises:
            Problem: 400 where it says neither that nor "false".
        """
        text = self.one(name)
        if text not in {None, "true", "false"}:
            raise Problem(400, "query", f"{name} is true or false")
        return text == "true"
