"""Whether a node may be taken into service: it answers, takes objects, and holds nobody else's."""

import hashlib
import uuid
from itertools import islice

import sqlalchemy as sa

from replica.tables import replica_object
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError
from storage_nodes.names import ObjectName
from storage_nodes.node import Node
from storage_nodes.wrappers.verify import get_verified

_SAMPLE = 200
"""Names; what is put later than they are is found by the survey, and quarantined where nobody knows it."""


class NotAdmitted(Exception):  # noqa: N818 (reads as what happened)
    """A node that must not be taken into service; the text says why and what to do."""


def try_out(node: Node) -> None:
    """Put a small object, read it back and delete it.

    Raises:
        NotAdmitted: one of these fails.
    """
    name = ObjectName(f"probe/{uuid.uuid4().hex}")
    data = name.encode()
    digest = hashlib.sha256(data).digest()
    try:
        node.put(name, data, digest)
        get_verified(node, name, digest)
        node.delete(name)
    except NodeError as error:
        raise NotAdmitted(f"it cannot be used: {error.trouble}") from error


def check_ours(connection: sa.Connection, kind: Kind, node: Node) -> int:
    """Look whether what lies there is this grid's; returns how many objects of a sample are.

    Raises:
        NotAdmitted: there are objects, and the index knows none of those looked at.
    """
    try:
        names = [str(stat.name) for stat in islice(node.list(f"{kind}/"), _SAMPLE)]
    except NodeError as error:
        raise NotAdmitted(f"it cannot be listed: {error.trouble}") from error
    known = connection.scalar(
        sa.select(sa.func.count()).select_from(replica_object).where(replica_object.c.name.in_(names))
    )
    if names and not known:
        raise NotAdmitted(
            f"{len(names)} objects lie there and none is known here: another grid's? "
            "Point it at an empty folder or bucket, or say --adopt to have them quarantined"
        )
    return known or 0
