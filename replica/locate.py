from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from replica.fleet import Fleet
from replica.tables import replica_copy, replica_object
from replica.values import CopyState, Located
from storage_nodes.addresses import Kind
from storage_nodes.names import ObjectName, RecordKey

_object = replica_object.c
_copy = replica_copy.c
_KEYS_A_STATEMENT = 500
"""Databases bound the number of parameters; SQLite's smallest default is 999."""


def locate(
    connection: sa.Connection, fleet: Fleet, record_keys: Iterable[RecordKey], kind: Kind
) -> Mapping[RecordKey, Located]:
    """Return where the committed objects of some keys can be read, nearest place first.

    A key without an object is absent; an object without a readable copy has no nodes. Copies that are not
    AVAILABLE are left out: SUSPICIOUS ones are read again only after they were checked. An object whose place
    another has taken is found by its own key until it is being removed: a reader may have resolved that key
    before.
    """
    wanted = list(dict.fromkeys(record_keys))
    found: dict[RecordKey, Located] = {}
    for start in range(0, len(wanted), _KEYS_A_STATEMENT):
        rows = connection.execute(_query(wanted[start : start + _KEYS_A_STATEMENT], kind)).all()
        nodes: dict[int, list[str]] = {}
        for row in rows:
            nodes.setdefault(row.id, []).extend([row.node] if row.node is not None else [])
        for row in rows:
            name = ObjectName(row.name)
            found[RecordKey(row.record_key)] = Located(
                object_id=row.id,
                name=name,
                record_key=RecordKey(row.record_key),
                kind=kind,
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                layout=row.layout,
                nodes=fleet.nearest_first(kind, name, nodes[row.id]),
            )
    return found


def _query(record_keys: list[RecordKey], kind: Kind) -> sa.Select[*tuple[object, ...]]:
    was_good = (_copy.state == CopyState.OBSOLETE) & _copy.verified_ms.is_not(None)
    readable = (_copy.object_id == _object.id) & sa.or_(
        (_copy.state == CopyState.AVAILABLE) & _object.superseded_ms.is_(None),
        was_good & _object.superseded_ms.is_not(None),
    )
    return (
        sa.select(
            _object.id,
            _object.name,
            _object.record_key,
            _object.size_bytes,
            _object.sha256,
            _object.layout,
            _copy.node,
        )
        .select_from(replica_object.outerjoin(replica_copy, readable))
        .where(
            _object.record_key.in_(record_keys),
            _object.kind == kind,
            _object.committed_ms.is_not(None),
            sa.or_(
                _object.superseded_ms.is_(None),
                _object.superseded_by.is_not(None) & _object.removing_ms.is_(None),
            ),
        )
        .order_by(_object.superseded_ms.is_(None), _object.id, _copy.node)
    )
