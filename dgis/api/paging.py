"""Pages: a cursor is two numbers, a time and the number of a row, which tell nothing of what a row holds."""

import re
from typing import Annotated

from pydantic import Field

MOST = 1000
_CURSOR = r"^[0-9]{1,18}-[0-9]{1,18}$"

Cursor = Annotated[str | None, Field(pattern=_CURSOR, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=MOST)]


def read_cursor(cursor: str | None) -> tuple[int, int] | None:
    """Return the two numbers of a cursor."""
    found = re.fullmatch(_CURSOR, cursor) if cursor else None
    if found is None:
        return None
    when, _, number = found.string.partition("-")
    return int(when), int(number)


def write_cursor(when: int, number: int) -> str:
    """Return a cursor."""
    return f"{when}-{number}"
