"""`--may`: rights, as every command takes them."""

from collections.abc import Iterable
from typing import Annotated

import typer

from catalog.callers import Right

May = Annotated[list[str], typer.Option("--may", help="Rights, as in find,retrieve,phi; may be repeated.")]
USUAL = (Right.FIND.value, Right.RETRIEVE.value)


def rights(may: Iterable[str]) -> frozenset[Right]:
    """Return the rights that are named.

    Raises:
        typer.BadParameter: there is no such right.
    """
    known = {right.value for right in Right}
    named = {each.strip() for text in may for each in text.split(",")}
    if unknown := sorted(named - known):
        raise typer.BadParameter(f"no such right: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return frozenset(map(Right, named))
