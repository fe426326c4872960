"""Finding: a query and the decision become one statement a family; its rows become matches.

Originals are matched only in rows the caller is cleared for, de-identified values elsewhere, so what a query
finds, counts or orders tells nothing of an original to who may not see it.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter

from sqlalchemy import Connection

from catalog.attributes import DOOR_KEYS, UNIQUE_KEYS, supported
from catalog.callers import Caller, Right
from catalog.clearance import Viewer
from catalog.conditions import shape, values
from catalog.matching import Equals, Tree, parse
from catalog.query import Fault, InvalidQuery, Level, Query
from catalog.reach import Reach
from catalog.selection import MOST_ROWS, Layout, Row, Value, layout, statement
from catalog.sql import Statements
from catalog.summaries import KEYS, EntityKey, Summary, summarise
from catalog.tables import DEID, PHI, Family
from catalog.viewers import viewer

_ENTITIES_AT_ONCE = 128
_ROWS_AT_FIRST = 1_000
_MOST_ROWS = 16_000
_ROWS_GROWTH = 4
_STATEMENTS = Statements(256)


@dataclass(frozen=True, slots=True)
class Match:
    """One entity: the values of the keys that were asked for and are supported.

    "" or () is a value that is not known.
    """

    values: Mapping[str, Value] = field(repr=False)
    original: bool
    entity: EntityKey = field(repr=False)

    @property
    def cursor(self) -> str:
        """What continues after this match (`Query.after`)."""
        return base64.urlsafe_b64encode(json.dumps([self.original, *self.entity]).encode()).decode()


def unsupported(query: Query) -> tuple[str, ...]:
    """Return the keywords that are neither returned nor matched; a pending status is then 0xFF01."""
    keywords = (key.keyword for key in query.keys)
    return tuple(name for name in keywords if name not in DOOR_KEYS and supported(name, query.level) is None)


def find(
    connection: Connection, query: Query, caller: Caller, now_ms: int, reach: Reach | None = None
) -> Iterator[Match]:
    """Find what the caller may find: originals where cleared, de-identified entities elsewhere.

    Matches stream in a stable order, originals first, each entity once. Through a gateway with a `reach`,
    what it cannot give out does not exist.

    Raises:
        InvalidQuery: at once, before anything is looked up.
    """
    tree = parse(query)
    after = _decode(query.after, tree.level) if query.after else None
    rows = (_ROWS_AT_FIRST if query.limit is None else query.limit) + 1  # one more says whether that is all
    search = _Search(connection, tree, viewer(connection, Right.FIND, [caller], now_ms, reach), rows)
    return islice(search.matches(after), query.limit)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: in which family, at which entity."""

    original: bool
    keys: EntityKey


@dataclass(frozen=True, slots=True)
class _Search:
    """One query of one caller."""

    connection: Connection
    tree: Tree
    viewer: Viewer
    rows_at_first: int = _ROWS_AT_FIRST

    def matches(self, after: _Place | None) -> Iterator[Match]:
        access = self.viewer.access
        if not access.anything:
            return
        if access.originals and (after is None or after.original):
            yield from self._of(PHI, after.keys if after is not None else None)
        yield from self._of(DEID, after.keys if after is not None and not after.original else None)

    def _of(self, family: Family, behind: EntityKey | None) -> Iterator[Match]:
        shown = layout(self.tree)
        entities = self._entities(family, shown, behind)
        while chunk := list(islice(entities, _ENTITIES_AT_ONCE)):
            wanted = [shown.to_count(group) for group in chunk]
            counted = self._counted(family, wanted)
            for group, keys in zip(chunk, wanted, strict=True):
                counts = {level: counted[level][key] for level, key in keys.items()}
                entity = shown.entity(group[0], shown.level)
                yield Match(shown.values(group, counts), family.original, entity)

    def _entities(self, family: Family, shown: Layout, behind: EntityKey | None) -> Iterator[list[Row]]:
        """Yield the rows of each entity; a page mostly takes one statement."""
        most = self.rows_at_first
        while True:
            rows = self._rows(family, behind, most)
            grouped = [list(same) for _scope, same in groupby(rows, key=itemgetter(slice(shown.scope)))]
            if len(rows) < most:
                yield from grouped
                return
            # There are more rows, perhaps of the last entity, too.
            yield from grouped[:-1]
            if len(grouped) > 1:
                behind = shown.entity(grouped[-2][0], shown.level)
            most = (
                max(most, min(most * _ROWS_GROWTH, _MOST_ROWS)) if len(grouped) > 1 else most * _ROWS_GROWTH
            )

    def _rows(self, family: Family, behind: EntityKey | None, most: int) -> Sequence[Row]:
        prepared = _STATEMENTS.get(
            self.connection,
            (family.original, shape(self.tree), self.viewer.access, behind is None),
            lambda: statement(self.tree, family, self.viewer.access, resumed=behind is not None),
        )
        start = {f"after_{place}": part for place, part in enumerate(behind or ())}
        bound = {**values(self.tree), **self.viewer.bound, **start, MOST_ROWS: most}
        return prepared.rows(self.connection, bound, planned_anew=not _few(self.tree))

    def _counted(
        self, family: Family, wanted: Sequence[Mapping[Level, EntityKey]]
    ) -> dict[Level, dict[EntityKey, Summary]]:
        keys: dict[Level, set[EntityKey]] = {}
        for each in wanted:
            for level, key in each.items():
                keys.setdefault(level, set()).add(key)
        return {
            level: summarise(self.connection, family, self.viewer, level, entities)
            for level, entities in keys.items()
        }


_TELLING = frozenset({*UNIQUE_KEYS.values(), "AccessionNumber"})


def _few(tree: Tree) -> bool:
    """Whether few rows can match whatever the values are, so that one plan does for all of them."""
    return any(
        criterion.attribute.keyword in _TELLING and isinstance(condition, Equals)
        for criterion in tree.criteria
        for condition in criterion.any_of[:1]
    )


def _decode(cursor: str, level: Level) -> _Place:
    try:
        original, *keys = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        raise InvalidQuery(Fault.VALUE, "the page cursor is none that was given out") from None
    width = 1 if level is Level.IMAGE else len(KEYS[level])
    if not isinstance(original, bool) or len(keys) != width or not all(isinstance(key, str) for key in keys):
        raise InvalidQuery(Fault.VALUE, "the page cursor is none that was given out")
    return _Place(original, tuple(keys))
