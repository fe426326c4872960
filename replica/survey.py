"""The survey: compares what a node lists with what the index believes lies there, without reading a byte.

It goes in slices, by the first byte of the digest (`storage_nodes.addresses`): so much is in memory at a
time, and where it got to is a number kept with the node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

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


def survey(replicas: Replicas, kind: Kind, node_name: str) -> Surveyed:
    """Survey a whole node: what it does not list becomes SUSPICIOUS, what nobody knows is quarantined."""
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
    node = replicas.fleet.node(kind, node_name)
    if node is None:
        return Surveyed(answered=False)
    # Before the listing: what is put meanwhile is not missed.
    believed = _rows(replicas, kind, node_name, number, _copy.state == CopyState.AVAILABLE)
    try:
        with replicas.fleet.watched(kind, node_name):
            listed = _list(node, f"{kind}/{number:02x}/")
    except NodeError:
        return Surveyed(answered=False)
    missing = [object_id for name, object_id in believed.items() if name not in listed]
    _suspect(replicas, node_name, missing)
    # After the listing: a row comes before the first byte, so what has none by now is nobody's.
    known = _rows(replicas, kind, node_name, number, sa.true())
    dark = {name: size for name, size in listed.items() if name not in known and size is not None}
    _quarantine(replicas, node_name, f"{kind}/{number:02x}/", dark)
    return Surveyed(len(listed), len(missing), len(dark))


def _list(node: Node, prefix: str) -> dict[str, int | None]:
    """Return name -> size; None for what no gateway put there: that is left alone."""
    return {str(stat.name): stat.size if Address.parse(stat.name) else None for stat in node.list(prefix)}


def _rows(
    replicas: Replicas, kind: Kind, node: str, number: int, which: sa.ColumnElement[bool]
) -> Mapping[str, int]:
    in_slice = _object.sha256 >= bytes([number]) + bytes(31)
    if number + 1 < SLICES:
        in_slice &= _object.sha256 < bytes([number + 1]) + bytes(31)
    with replicas.engine.connect() as connection:
        rows = connection.execute(
            sa.select(_object.name, _object.id)
            .join(replica_copy, _copy.object_id == _object.id)
            .where(in_slice, _object.kind == kind, _copy.node == node, which)
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
    with replicas.engine.begin() as connection:
        before = set(connection.scalars(sa.select(_dark.name).where(here)))
        for name in before - dark.keys():
            connection.execute(sa.delete(replica_dark).where(_dark.node == node, _dark.name == name))
        new = list(_new_rows(node, dark, before, replicas.clock_ms()))
        if new:
            connection.execute(sa.insert(replica_dark), new)


def _new_rows(
    node: str, dark: Mapping[str, int], before: set[str], now_ms: int
) -> Iterable[dict[str, object]]:
    for name, size in dark.items():
        if name not in before:
            yield {"node": node, "name": name, "size_bytes": size, "since_ms": now_ms}
