"""Which objects have every copy that their rule wants, by the index: nothing is read from a node."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from replica.context import Replicas
from replica.locate import locate
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
    fleet, rule = replicas.fleet, replicas.rules[kind]
    counted = fleet.counted(kind)
    found: dict[RecordKey, Located] = {}
    for key, located in locate(connection, fleet, record_keys, kind).items():
        nodes = tuple(node for node in located.nodes if node in counted)
        sites = [site for node in nodes if (site := fleet.site_of(kind, node)) is not None]
        if not rule.missing(sites) and not _waits(connection, located.object_id):
            found[key] = replace(located, nodes=nodes)
    return found


def _waits(connection: sa.Connection, object_id: int) -> bool:
    columns = replica_object.c
    due = sa.select(columns.fill_due_ms).where(columns.id == object_id)
    return connection.scalar(due) is not None
