from collections.abc import Sequence

import structlog

from replica.context import Replicas
from replica.examine import examine
from replica.intent import add_copies
from replica.leases import still_mine
from replica.rows import Entry, note_failure, set_state, set_verified
from replica.values import CopyState
from storage_nodes.body import RemoteBody
from storage_nodes.errors import DigestMismatch, NodeError, ObjectDamaged, ObjectMissing
from storage_nodes.node import Node

_log = structlog.get_logger(__name__)


class CopyJob:
    """Brings copies of one object, whose lease the caller holds, to further nodes.

    The copy is real once its row says AVAILABLE, which is written after the node confirmed it. A crash
    before leaves a COPYING row: the next run looks at what lies there.
    """

    def __init__(self, replicas: Replicas, entry: Entry) -> None:
        self._replicas = replicas
        self._fleet = replicas.fleet
        self._entry = entry

    def bring_to(self, target: Node, good: Sequence[str]) -> bool | None:
        """Make one copy; True: copied, False: the right bytes lay there already, None: it failed.

        Args:
            target: where to.
            good: nodes with a copy to take it from.
        """
        entry = self._entry
        with self._replicas.engine.begin() as connection:
            if not still_mine(connection, self._replicas, entry.object_id):
                return None
            add_copies(connection, entry.object_id, [target.name])
            set_state(connection, entry.object_id, target.name, CopyState.COPYING)
        there = examine(self._fleet, entry, target.name)
        if there.state is CopyState.AVAILABLE:
            self._settle(target.name)
            return False
        if there.state is None:
            self._failed(target.name, there.trouble or "")
            return None
        for source in self._fleet.nearest_first(entry.kind, entry.name, good):
            if self._copy(source, target, replacing=there.state is CopyState.BAD):
                self._settle(target.name)
                return True
        return None

    def _copy(self, source_name: str, target: Node, *, replacing: bool) -> bool:
        entry = self._entry
        source = self._fleet.node(entry.kind, source_name)
        if source is None:
            return False
        try:
            if replacing and not self._clear(source_name, target):
                return False
            with self._fleet.watched(entry.kind, target.name):
                target.put(entry.name, RemoteBody(source, entry.name, entry.size_bytes), entry.sha256)
        except NodeError as error:
            self._blame(error, source_name, target.name)
            return False
        return True

    def _clear(self, source_name: str, target: Node) -> bool:
        """Delete wrong bytes, once it is sure that there are right ones to put in their place."""
        if not self._is_good(source_name):
            return False
        with self._replicas.engine.begin() as connection:
            if not still_mine(connection, self._replicas, self._entry.object_id):
                return False
        with self._fleet.watched(self._entry.kind, target.name):
            target.delete(self._entry.name)
        return True

    def _blame(self, error: NodeError, source_name: str, target_name: str) -> None:
        """Find out whose fault a failed copy was, and write it down there."""
        if error.node == source_name:
            self._fleet.health.failed(self._entry.kind, source_name, error)
            if isinstance(error, ObjectMissing | ObjectDamaged):
                self._suspect(source_name, error.trouble)
        elif not isinstance(error, DigestMismatch) or self._is_good(source_name):
            self._failed(target_name, error.trouble)

    def _is_good(self, node: str) -> bool:
        finding = examine(self._fleet, self._entry, node)
        if finding.state in {CopyState.BAD, CopyState.LOST}:
            self._suspect(node, finding.trouble or "")
        return finding.state is CopyState.AVAILABLE

    def _suspect(self, node: str, trouble: str) -> None:
        with self._replicas.engine.begin() as connection:
            set_state(
                connection,
                self._entry.object_id,
                node,
                CopyState.SUSPICIOUS,
                due_ms=self._replicas.clock_ms(),
                last_error=trouble,
            )

    def _failed(self, node: str, trouble: str) -> None:
        _log.warning("copy_failed", node=node, object_id=self._entry.object_id, trouble=trouble)
        with self._replicas.engine.begin() as connection:
            note_failure(connection, self._entry.object_id, node, trouble, self._replicas.clock_ms())

    def _settle(self, node: str) -> None:
        with self._replicas.engine.begin() as connection:
            set_verified(connection, self._entry.object_id, node, self._replicas.clock_ms())
