"""The digest that binds a decision to all before it."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

FIRST = bytes(32)
_BOUND = (
    *("id", "phi_instance_id", "location", "series_key", "instance_key"),
    *("choice", "rectangles", "frames", "said_by", "at_ms", "previous_id"),
)


def digest(before: bytes, row: Any) -> bytes:  # noqa: ANN401 - a row of review_decision
    """Return the digest of a decision, given that of the one before it in the order of ids."""
    said = json.dumps([getattr(row, name) for name in _BOUND], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(before + said.encode("ascii")).digest()


def first_broken(rows: Iterable[Any]) -> int | None:
    """Return the id of the first decision that does not follow from the one before it; None: all do.

    What it cannot show is a last row that was taken out, and a chain written anew from some row on by
    somebody who may write the database: the digest is not keyed.
    """
    before = FIRST
    for row in rows:
        if digest(before, row) != bytes(row.digest):
            return int(row.id)
        before = bytes(row.digest)
    return None
