"""Who contributed: one row for each set of asserted facts at a facility, and the grant that follows."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from catalog.callers import PATTERN_FIELDS, Assertions, Right
from catalog.grants import FOR_EVER_MS, Grant, What, Who, write_once
from catalog.sql import OneOf, Statements, insert_ignoring, json_list
from catalog.tables import contributor


@dataclass(frozen=True, slots=True)
class PublisherGrant:
    """What a publisher's own assertions open of what it contributed.

    `fields` names the asserted facts a caller must share with the publisher; with none of them asserted
    nothing is opened.
    """

    fields: tuple[str, ...] = ("institution", "department")
    may: frozenset[Right] = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})

    def __post_init__(self) -> None:
        unknown = set(self.fields) - set(PATTERN_FIELDS)
        if unknown:
            raise ValueError(f"no such asserted field: {', '.join(sorted(unknown))}")

    def of(self, contributor_id: int, assertions: Assertions) -> Grant | None:
        """Return the grant that follows from a contribution, or None where nothing is to be matched."""
        facts = {field: values[0] for field in self.fields if (values := assertions.values(field))}
        if not facts:
            return None
        return Grant(
            who=Who(**facts),
            what=What(contributor_id=contributor_id),
            may=self.may,
            not_after_ms=FOR_EVER_MS,
            granted_by="publication",
            reason="what a publisher contributed is open to those who assert the same",
            origin=f"publisher:{contributor_id}",
        )


Contribution = tuple[str, Assertions]
"""(facility, assertions)."""


def contributor_digest(assertions: Assertions) -> str:
    """Return the SHA-256 of the canonical assertions, hexadecimal."""
    return hashlib.sha256(assertions.canonical().encode()).hexdigest()


def ensure_contributors(
    connection: Connection, contributions: Iterable[Contribution], grant: PublisherGrant, now_ms: int
) -> dict[Contribution, int]:
    """Return the id of each contributor; a new one gets its row and its publisher grant."""
    wanted = sorted(
        {(facility, contributor_digest(who)): who for facility, who in contributions}.items(),
        key=lambda item: item[0],
    )
    ids = _known(connection, [key for key, _who in wanted])
    missing = [(key, who) for key, who in wanted if key not in ids]
    if missing:
        rows = [
            {"facility": facility, "digest": digest, "assertions": who.canonical(), "first_ms": now_ms}
            for (facility, digest), who in missing
        ]
        connection.execute(insert_ignoring(connection, contributor), rows)
        ids = _known(connection, [key for key, _who in wanted])
        given = (grant.of(ids[key], who) for key, who in missing)
        write_once(connection, [each for each in given if each is not None])
    return {(facility, who): ids[facility, digest] for (facility, digest), who in wanted}


def _known(connection: Connection, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    lookup = _STATEMENTS.get(connection, "known", _by_digest)
    found = lookup.run(connection, {"digests": json_list(digest for _facility, digest in wanted)})
    return {(row.facility, row.digest): row.id for row in found}


_STATEMENTS = Statements(4)


def _by_digest() -> Select[Any]:
    columns = contributor.c
    return select(columns.facility, columns.digest, columns.id).where(
        OneOf(columns.digest, bindparam("digests"))
    )
