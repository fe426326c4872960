"""The survey: compares what a node lists with what the index believes lies there, without reading a byte.

It goes in slices, by the first byte of the digest (`storage_nodes.addresses`): so much is in memory at a
time, and where it got to is a number kept with the node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from replica.context import Replicas
from replica.tables import replica_copy, replica_dark, replica_node, replica_object
from replica.values import CopyState, NodeState
from storage_nodes.addresses import Address, Kind
from storage_nodes.errors import NodeError
from storage_nodes.node import Node

_object = replica_object.c
_copy = replica_copy.c
_dark = replica_dark.c
_AT_ONCE = 500
_FEW = 20_000
"""Copies on a node that is surveyed at once."""
SLICES: Final = 256
_KINDS: Final = tuple(Kind)
_SURVEYED: Final = {NodeState.ACTIVE, NodeState.READ_ONLY, NodeState.DRAINING}


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a node listed.

    Attributes:
        missing: copies that it should hold and does not list.
        dark: objects that it lists and of which the index has no copy there.
        answered: it could be listed.
    """

    listed: int = 0
    missing: int = 0
    dark: int = 0
    answered: bool = True


@dataclass(frozen=True, slots=True)
class _Slice:
    """Objects of a kind whose digest begins with this byte; None: all of the kind."""

    kind: Kind
    number: int | None

    @property
    def prefix(self) -> str:
        """Of their names."""
        return f"{self.kind}/" if self.number is None else f"{self.kind}/{self.number:02x}/"

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Of their rows."""
        of_kind = _object.kind == self.kind
        if self.number is None:
            return of_kind
        from_here = of_kind & (_object.sha256 >= bytes([self.number]) + bytes(31))
        if self.number + 1 == SLICES:
            return from_here
        return from_here & (_object.sha256 < bytes([self.number + 1]) + bytes(31))


def survey(replicas: Replicas, kind: Kind, node_name: str) -> Surveyed:
    """Survey a whole node: what it does not list becomes SUSPICIOUS, what nobody knows is quarantined."""
    with replicas.engine.connect() as connection:
        replicas.look_at_nodes(connection)
        copies = connection.scalar(sa.select(sa.func.count()).where(_copy.node == node_name)) or 0
    if replicas.fleet.standing.of(node_name) not in _SURVEYED:
        return Surveyed(answered=False)
    if copies <= _FEW:
        return _survey(replicas, _Slice(kind, None), node_name)
    listed = missing = dark = 0
    for number in range(SLICES):
        found = survey_slice(replicas, kind, node_name, number)
        if not found.answered:
            return Surveyed(listed, missing, dark, answered=False)
        listed, missing, dark = listed + found.listed, missing + found.missing, dark + found.dark
    return Surveyed(listed, missing, dark)


def run_once(replicas: Replicas) -> int:
    """Survey the next slice of every node in service; returns how many nodes answered."""
    with replicas.engine.connect() as connection:
        replicas.look_at_nodes(connection)
        turns = connection.execute(sa.select(replica_node.c.name, replica_node.c.survey_slice)).all()
    answered = 0
    for name, turn in turns:
        if replicas.fleet.standing.of(name) not in _SURVEYED:
            continue
        kind, number = _KINDS[turn // SLICES % len(_KINDS)], turn % SLICES
        if survey_slice(replicas, kind, name, number).answered:
            answered += 1
            _go_on(replicas, name, (turn + 1) % (SLICES * len(_KINDS)))
    return answered


def _go_on(replicas: Replicas, node: str, turn: int) -> None:
    values: dict[str, int] = {"survey_slice": turn}
    if turn == 0:
        values["surveyed_ms"] = replicas.clock_ms()
    with replicas.engine.begin() as connection:
        connection.execute(sa.update(replica_node).where(replica_node.c.name == node).values(values))


def survey_slice(replicas: Replicas, kind: Kind, node_name: str, number: int) -> Surveyed:
    """Survey one of the SLICES of a node."""
    return _survey(replicas, _Slice(kind, number), node_name)


def _survey(replicas: Replicas, part: _Slice, node_name: str) -> Surveyed:
    kind = part.kind
    node = replicas.fleet.node(kind, node_name)
    if node is None:
        return Surveyed(answered=False)
    # Before the listing: what is put meanwhile is not missed.
    believed = _rows(replicas, part, node_name, _copy.state == CopyState.AVAILABLE)
    try:
        with replicas.fleet.watched(kind, node_name):
            listed = _list(node, part.prefix)
    except NodeError:
        return Surveyed(answered=False)
    missing = [object_id for name, object_id in believed.items() if name not in listed]
    _suspect(replicas, node_name, missing)
    # After the listing: a row comes before the first byte, so what has none by now is nobody's.
    known = _rows(replicas, part, node_name, sa.true()) if listed.keys() - believed.keys() else believed
    dark = {name: size for name, size in listed.items() if name not in known and size is not None}
    _quarantine(replicas, node_name, part.prefix, dark)
    return Surveyed(len(listed), len(missing), len(dark))


def _list(node: Node, prefix: str) -> dict[str, int | None]:
    """Return name -> size; None for what no gateway put there: that is left alone."""
    return {str(stat.name): stat.size if Address.parse(stat.name) else None for stat in node.list(prefix)}


def _rows(replicas: Replicas, part: _Slice, node: str, which: sa.ColumnElement[bool]) -> Mapping[str, int]:
    with replicas.engine.connect() as connection:
        rows = connection.execute(
            sa.select(_object.name, _object.id)
            .join(replica_copy, _copy.object_id == _object.id)
            .where(part.condition, _copy.node == node, which)
        ).all()
    return {row.name: row.id for row in rows}


def _suspect(replicas: Replicas, node: str, missing: list[int]) -> None:
    for start in range(0, len(missing), _AT_ONCE):
        with replicas.engine.begin() as connection:
            connection.execute(
                sa.update(replica_copy)
                .where(
                    _copy.node == node,
                    _copy.object_id.in_(missing[start : start + _AT_ONCE]),
                    _copy.state == CopyState.AVAILABLE,
                )
                .values(
                    state=CopyState.SUSPICIOUS,
                    due_ms=replicas.clock_ms(),
                    last_error="the node does not list it",
                )
            )


def _quarantine(replicas: Replicas, node: str, prefix: str, dark: Mapping[str, int]) -> None:
    """Write down what is dark in a slice, and forget what is not any more."""
    here = (_dark.node == node) & _dark.name.startswith(prefix, autoescape=True)
    with replicas.engine.connect() as connection:
        before = set(connection.scalars(sa.select(_dark.name).where(here)))
    if before == dark.keys():
        return
    with replicas.engine.begin() as connection:
        for name in before - dark.keys():
            connection.execute(sa.delete(replica_dark).where(_dark.node == node, _dark.name == name))
        new = list(_new_rows(node, dark, before, replicas.clock_ms()))
        for row in new:
            connection.execute(_insert_or_nothing(connection, row))


def _new_rows(
    node: str, dark: Mapping[str, int], before: set[str], now_ms: int
) -> Iterable[dict[str, object]]:
    for name, size in dark.items():
        if name not in before:
            yield {"node": node, "name": name, "size_bytes": size, "since_ms": now_ms}


def _insert_or_nothing(connection: sa.Connection, row: dict[str, object]) -> sa.Executable:
    """Another gateway may survey the same node at the same time."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(replica_dark).values(row).on_conflict_do_nothing(index_elements=["node", "name"])
