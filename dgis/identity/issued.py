"""A credential of the grid, once it is made."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, or a certificate in PEM; it ends at `until_s` (epoch seconds)."""

    credential: str = field(repr=False)
    until_s: int
