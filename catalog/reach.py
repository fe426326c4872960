"""What a gateway can give out of originals that no record holds yet: those in its own cache.

Another gateway's cache is out of its reach. What lies there alone is found, counted and retrieved through
that gateway; here it does not exist before its series is published.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True)
class Reach:
    """Conditions over tables of whoever keeps the caches, and the name that tells one reach from another.

    `holds` says of the id of an original whether this gateway's cache has it; `elsewhere` looks at no row of
    the statement it stands in, so that it is answered once: whether any series waits in another cache.
    """

    name: str
    holds: Callable[[ColumnElement[int]], ColumnElement[bool]] = field(compare=False, repr=False)
    elsewhere: ColumnElement[bool] = field(compare=False, repr=False)
