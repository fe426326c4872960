"""Merging small parts of a series into one record, step by step: each can be repeated, the last one counts.

    claim under a lease, record key and parts drawn once -> read the parts, pack, seal, prove -> put on nodes
    to the quorum -> ONE transaction: replica rows, catalog rows, part rows (the commit point)

A crash before the commit point leaves the old parts as they are, an intent that the cleaner knows, and
perhaps bytes on nodes that nobody reads; the merge is taken up again when its lease runs out. A crash after
it leaves nothing undone: the clean worker removes the old objects after the grace time, in which readers
that hold an old key still find them. What erases, deletes, withdraws or replaces an instance meanwhile wins:
the commit looks again, under the patient's fence and the rows' locks, and then nothing of the merge is true.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
import structlog

from catalog.merge import Move
from deid.keys.generations import current_key
from deid.keys.store import KeyStore
from deid.keys.values import KeysError, PatientKey
from dgis import failpoints, layouts
from dgis.cache.sql import reading
from dgis.commitment.leases import kept
from dgis.merger import queue
from dgis.merger.packing import Merged, MergeError, Sealing, merge_parts
from dgis.merger.sources import Changed, Parts, decided, open_sources, read_parts, said_of
from dgis.merger.switch import Change, Switch, switch
from dgis.merger.values import Failure, Merge, Rule, Step
from dgis.publisher.about import SUPERSEDES, Contributions, about_part
from dgis.publisher.rows import contribution, sealed_rows
from dgis.publisher.values import PartState
from dgis.retriever.records import NotHere, Shelf
from dgis.transactions import WORKER, again
from dgis.watch.figures import MERGES
from dgis.watch.steps import Step as Timed
from dgis.watch.steps import timed
from replica.context import Replicas
from replica.intent import IntentLost
from replica.rules import Labels
from replica.store import put_with_quorum
from replica.values import NewObject, NotStored, Stored
from storage_nodes.addresses import Kind
from storage_nodes.record.manifest import JSON

_log = structlog.get_logger(__name__)


class _NotNow(Exception):  # noqa: N818 (the merge waits for its next attempt)
    """An attempt that did not come through; the text says why and holds nothing of an image."""


for _outcome in ("merged", "changed", "failed"):  # a figure that is not there yet cannot be seen to rise
    MERGES.labels(_outcome)


@dataclass(frozen=True, slots=True)
class Means:
    """What merging works with; `scratch` is where large originals wait in nameless files."""

    replicas: Replicas
    shelf: Shelf
    keys: KeyStore
    contributions: Contributions
    gateway_id: str
    clock_ms: Callable[[], int]
    rule: Rule
    lease_ms: int = 120_000
    scratch: Path | None = None


class Merger:
    """Merges what is due; `run_once` may be called by several processes of several gateways."""

    def __init__(self, means: Means, owner: str) -> None:
        self._means = means
        self._engine = means.replicas.engine
        self._owner = owner
        self.moved_bytes = 0  # of originals that the last call read, whatever came of it

    def run_once(self) -> bool:
        """Merge parts of one series; False where nothing is due. A failed attempt waits for its next."""
        means = self._means
        self.moved_bytes = 0
        with self._engine.begin() as connection:
            merge = queue.claim(connection, self._owner, means.rule, means.clock_ms(), means.lease_ms)
        if merge is None:
            return False
        failpoints.hit("merge.claimed")
        try:
            with self._lease(merge), timed(Timed.MERGE):
                self._merge(merge)
            MERGES.labels("merged").inc()
        except Changed as error:
            MERGES.labels("changed").inc()
            self._give_back(merge, Failure(str(error), anew=True))
        except (_NotNow, NotHere, IntentLost, KeysError) as error:
            self._fail(merge, str(error))
        except sa.exc.SQLAlchemyError as error:
            self._fail(merge, f"the database failed ({type(error).__name__})")
        except MergeError as error:
            MERGES.labels("failed").inc()
            _log.warning("merge_given_up", record=merge.record_key, reason=str(error))
            with self._engine.begin() as connection:
                queue.give_up(connection, merge, self._owner)
        except Exception as error:  # noqa: BLE001 (one series must not stop the others; the type says enough)
            _log.exception("merge_failed", record=merge.record_key)
            self._fail(merge, f"unexpected {type(error).__name__}; see the log of the worker")
        return True

    def _merge(self, merge: Merge) -> None:
        read = read_parts(self._engine, merge)
        self.moved_bytes = sum(each.length for each in read.part.originals)
        key = current_key(self._means.keys, read.patient)
        merged = self._pack(merge, read, key)
        failpoints.hit("merge.packed")
        self._step(merge, Step.PLACING)
        stored = self._put(merge, merged, Labels(read.facility, read.modality))
        failpoints.hit("merge.placed")
        self._step(merge, Step.COMMITTING)
        change = Change(
            merge=merge,
            owner=self._owner,
            patient=read.patient,
            study=read.study,
            key_name=key.name,
            gateway_id=read.gateway_id,
            writer=f"{self._means.gateway_id}/worker",
            planned_ms=read.part.planned_ms,
            stored_bytes=merged.size,
            moves=tuple(Move(place, at) for at, place in enumerate(merged.order)),
            stored=tuple(stored),
        )
        outcome = again(lambda: switch(self._engine, change, self._means.clock_ms()), WORKER)
        if outcome is Switch.CHANGED:
            raise Changed("what is in the parts has changed meanwhile")
        if outcome is Switch.LOST:
            raise _NotNow("another worker has the series now")
        failpoints.hit("merge.after_commit")
        _log.info(
            "parts_merged", record=merge.record_key, parts=len(merge.sources), instances=len(merged.order)
        )

    def _pack(self, merge: Merge, read: Parts, key: PatientKey) -> Merged:
        means = self._means
        sources = open_sources(means.shelf, means.keys.get, merge, read)
        part = replace(read.part, state=PartState.DECIDED) if decided(sources, key) else read.part
        with reading(self._engine) as connection:
            by = contribution(connection, merge.phi_series_id)
            rows = sealed_rows(connection, part, read.gateway_id, merge.sources)
        own = about_part(part, read.patient, by, means.contributions)
        about: dict[str, JSON] = {**said_of(sources), **own, SUPERSEDES: [*merge.sources]}
        sealing = Sealing(means.keys.site, key, rows, about)
        with timed(Timed.PACK):
            return merge_parts(merge.record_key, sources, read.kept, sealing, scratch=means.scratch)

    def _put(self, merge: Merge, merged: Merged, labels: Labels) -> list[Stored]:
        companion, record, key = merged.companion, merged.record, merge.record_key
        objects = [
            (NewObject(key, Kind.SEALED, companion.size, companion.sha256, None, labels), companion.body)
        ]
        if record is not None:
            layout = layouts.to_json(record.layout)
            new = NewObject(key, Kind.RECORD, record.size, record.sha256, layout, labels)
            objects.append((new, record.body))
        stored = []
        with timed(Timed.PLACE):
            for new, body in objects:
                outcome = put_with_quorum(self._means.replicas, new, [memoryview(piece) for piece in body])
                if isinstance(outcome, NotStored):
                    raise _NotNow(outcome.reason)
                stored.append(outcome)
                failpoints.hit(f"merge.{new.kind}_put")
        return stored

    def _step(self, merge: Merge, step: Step) -> None:
        def renew() -> bool:
            with self._engine.begin() as connection:
                until_ms = self._means.clock_ms() + self._means.lease_ms
                return queue.renew(connection, merge, self._owner, until_ms, step)

        if not again(renew, WORKER):
            raise _NotNow("another worker has the series now")

    def _lease(self, merge: Merge) -> AbstractContextManager[None]:
        """Keep the lease while a step takes long."""

        def renew(connection: sa.Connection, until_ms: int) -> bool:
            return queue.renew(connection, merge, self._owner, until_ms)

        return kept(self._engine, renew, self._means.lease_ms, self._means.clock_ms)

    def _fail(self, merge: Merge, words: str) -> None:
        MERGES.labels("failed").inc()
        self._give_back(merge, Failure(words))

    def _give_back(self, merge: Merge, failure: Failure) -> None:
        _log.warning("merge_waits", record=merge.record_key, attempts=merge.attempts, reason=failure.words)
        try:
            with self._engine.begin() as connection:
                queue.failed(connection, merge, self._owner, self._means.clock_ms(), failure)
        except sa.exc.SQLAlchemyError as error:  # the lease runs out by itself
            _log.warning("merge_not_given_back", record=merge.record_key, error=type(error).__name__)
