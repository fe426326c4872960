import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import sqlalchemy as sa
import structlog

from replica.context import Replicas
from replica.intent import Intent, add_copies, intend
from replica.placement import Rule
from replica.racing import Race
from replica.tables import replica_copy
from replica.values import NewObject, NotStored, Stored
from storage_nodes.errors import NameTaken, NodeError
from storage_nodes.node import Body, Node

_log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 5.0
"""How long a reached quorum waits for the rest: mostly all end together, and nothing is left to fill."""
_LEAST_BYTES_PER_SECOND: Final = 1 << 20
_LEAST_SECONDS: Final = 30.0


def put_with_quorum(
    replicas: Replicas,
    new: NewObject,
    body: Body,
    *,
    settle_seconds: float = SETTLE_SECONDS,
    patience_seconds: float | None = None,
) -> Stored | NotStored:
    """Put an object on as many nodes as the rule says, at once, and return when its write quorum is verified.

    The intent (`replica.intent.intend`) is committed before the first byte is sent. Nodes that fail, or do
    not answer within the patience, are replaced by the next in placement order. Nothing is published here:
    the caller calls `replica.intent.commit_copies` in the transaction that is its commit point. Calling
    again with the same bytes, after a crash or a NotStored, finds what was put and goes on.

    Args:
        replicas: index, nodes and rules.
        new: the object.
        body: its bytes; kept until the last put has ended, which may be after the return.
        settle_seconds: how long to wait for the remaining copies once the quorum is there.
        patience_seconds: how long to wait for any answer before others are asked; by default 30 s and a
        second a
            MiB.

    Raises:
        sqlalchemy.exc.DBAPIError: the database fails; nothing is published.
    """
    rule = replicas.rules.of(new.kind, new.labels)
    with replicas.engine.begin() as connection:
        replicas.look_at_nodes(connection)
        targets = replicas.fleet.targets(new.kind, new.name, rule)
        if len(targets) < rule.write_quorum:
            return NotStored(f"{len(targets)} nodes take objects, {rule.write_quorum} copies are needed")
        first = targets[: rule.copies]
        intent = intend(connection, new, [node.name for node in first], replicas.clock_ms())
    if intent is None:
        return NotStored("an earlier object of this name is being removed; it can be put again after that")
    if intent.held is not None:
        return Stored(intent.object_id, new.name, intent.token, intent.held, complete=True)
    if patience_seconds is None:
        patience_seconds = _LEAST_SECONDS + new.size_bytes / _LEAST_BYTES_PER_SECOND
    attempt = _Attempt(replicas, new, body, intent, rule)
    return attempt.run(first, settle_seconds, patience_seconds)


def put_over(node: Node, new: NewObject, body: Body) -> None:
    """Put an object; wrong bytes under its name are replaced.

    Only with the right bytes at hand: the name holds their hash, so what lies there is nobody's, left by
    damage.
    """
    try:
        node.put(new.name, body, new.sha256)
    except NameTaken:
        _log.warning("damaged_object_replaced", node=node.name, kind=new.kind)
        node.delete(new.name)
        node.put(new.name, body, new.sha256)


class _Attempt:
    """One race of puts, and what came of it."""

    def __init__(self, replicas: Replicas, new: NewObject, body: Body, intent: Intent, rule: Rule) -> None:
        self._engine = replicas.engine
        self._fleet = replicas.fleet
        self._rule = rule
        self._new = new
        self._body = body
        self._intent = intent
        self._race: Race[None] = replicas.race()
        self._asked: list[str] = []
        self._held: list[str] = []
        self._failures: dict[str, str] = {}

    def run(
        self, first: Sequence[Node], settle_seconds: float, patience_seconds: float
    ) -> Stored | NotStored:
        self._start(first)
        settle_until: float | None = None
        while self._race.running:
            if len(self._held) >= self._rule.write_quorum and settle_until is None:
                settle_until = time.monotonic() + settle_seconds
            patience = patience_seconds if settle_until is None else max(settle_until - time.monotonic(), 0)
            ended = self._race.next(patience)
            if ended is None and settle_until is not None:
                break
            replacements = self._note(ended, patience_seconds)
            spare = self._spare() if replacements else ()
            if ended is None and not spare:
                break
            self._start(spare[:replacements])
        return self._outcome()

    def _spare(self) -> tuple[Node, ...]:
        """Return nodes that were not asked yet, those first that give what the rule still wants."""
        still = [node for node in self._asked if node not in self._failures]
        return self._fleet.targets(
            self._new.kind, self._new.name, self._rule, without=self._asked, held=still
        )

    def _start(self, nodes: Sequence[Node]) -> None:
        if not nodes:
            return
        self._asked += [node.name for node in nodes]
        with self._engine.begin() as connection:  # the row before the first byte, for these as well
            add_copies(connection, self._intent.object_id, [node.name for node in nodes])
        self._race.start_all({node.name: partial(self._put, node) for node in nodes})

    def _put(self, node: Node) -> None:
        with self._fleet.watched(self._new.kind, node.name):
            put_over(node, self._new, self._body)

    def _note(self, ended: tuple[str, BaseException | None] | None, patience_seconds: float) -> int:
        """Write down what happened; returns how many other nodes to ask instead."""
        if ended is None:
            late = self._race.running - self._failures.keys()
            words = f"has not answered for {patience_seconds:.0f} s"
            self._failures.update(dict.fromkeys(late, words))
            return len(late)
        node, error = ended
        if error is None:
            self._held.append(node)
            self._failures.pop(node, None)
            return 0
        if not isinstance(error, NodeError):
            raise error
        known_late = node in self._failures
        self._failures[node] = error.trouble
        _log.warning("put_failed", node=node, kind=self._new.kind, trouble=error.trouble)
        return 0 if known_late else 1

    def _outcome(self) -> Stored | NotStored:
        held = tuple(sorted(self._held))
        unfinished = self._race.running - self._failures.keys()
        failures = {
            **self._failures,
            **dict.fromkeys(unfinished, "was still at it when the quorum was there"),
        }
        self._write_down(failures)
        if len(held) < self._rule.write_quorum:
            reason = f"{len(held)} of {self._rule.write_quorum} copies needed could be put"
            return NotStored(reason, held, failures)
        complete = not failures and not self._rule.missing(self._fleet.places(self._new.kind, held))
        return Stored(self._intent.object_id, self._new.name, self._intent.token, held, complete, failures)

    def _write_down(self, failures: dict[str, str]) -> None:
        if not failures:
            return
        copy = replica_copy.c
        with self._engine.begin() as connection:
            for node, words in failures.items():
                connection.execute(
                    sa.update(replica_copy)
                    .where(copy.object_id == self._intent.object_id, copy.node == node)
                    .values(last_error=words, attempts=copy.attempts + 1)
                )
