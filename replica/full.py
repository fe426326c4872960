"""Which objects have every copy that their rule wants, by the index: nothing is read from a node."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from replica.context import Replicas
from replica.locate import locate
from replica.placement import Rule
from replica.rules import Labels
from replica.tables import replica_object
from replica.values import Located
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey


def full(
    connection: sa.Connection, replicas: Replicas, record_keys: Sequence[RecordKey], kind: Kind
) -> Mapping[RecordKey, Located]:
    """Return where those of some objects lie that have all their copies, on nodes that count.

    An object that waits for the fill worker has not, whatever copies there are.
    """
    fleet = replicas.fleet
    replicas.look_at_nodes(connection)
    counted = fleet.counted(kind)
    found: dict[RecordKey, Located] = {}
    for key, located in locate(connection, fleet, record_keys, kind).items():
        rule = _rule_unless_waiting(connection, replicas, located)
        nodes = tuple(node for node in located.nodes if node in counted)
        if rule is not None and not rule.missing(fleet.places(kind, nodes)):
            found[key] = replace(located, nodes=nodes)
    return found


def _rule_unless_waiting(connection: sa.Connection, replicas: Replicas, located: Located) -> Rule | None:
    """Return the rule of an object; None where the fill worker has it to do, or the object is to go."""
    columns = replica_object.c
    wanted = sa.select(columns.fill_due_ms, columns.superseded_ms, columns.facility, columns.modality)
    row = connection.execute(wanted.where(columns.id == located.object_id)).one_or_none()
    if row is None or row.fill_due_ms is not None or row.superseded_ms is not None:
        return None
    return replicas.rules.of(located.kind, Labels(row.facility or "", row.modality or ""))
