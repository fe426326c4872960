"""Publishing one part, step by step: each step can be repeated, and the last one makes it real.

    claim under a lease -> patient key durable -> de-identify, pack, seal, prove -> put on nodes to the quorum
    -> ONE transaction: replica rows, catalog rows, part done (the commit point)

A crash before the commit point leaves the originals in the cache, an intent that the cleaner knows, and
perhaps bytes on nodes that nobody reads; the part is taken up again when its lease runs out. A crash after
it leaves nothing undone: cached originals may be evicted from then on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
import structlog

from catalog import publish as catalog
from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from deid.elements import Buffer
from deid.keys.generations import current_key
from deid.keys.store import KeyStore
from deid.keys.values import KeysError
from dgis import failpoints, layouts
from dgis.cache.extent import EvictedError
from dgis.cache.index import CacheIndex
from dgis.cache.sql import reading
from dgis.erasure.fence import may_publish
from dgis.keyholder.client import NotRestored
from dgis.keyholder.protocol import RestoreRequest
from dgis.keyholder.server import Restore
from dgis.publisher import planning, queue
from dgis.publisher.about import about_part
from dgis.publisher.labelling import code_of
from dgis.publisher.pack import PackedPart, Packer, PackError, Sealing, Source, pack
from dgis.publisher.rows import contribution, sealed_rows, series_keys
from dgis.publisher.values import Failure, Job, Original, Owner, Part, Result, Sealed, Step
from dgis.review.carrying import note_outcomes
from dgis.spooled import spooled
from dgis.transactions import WORKER, again
from dgis.watch.figures import ATTEMPTS
from dgis.watch.steps import Step as Timed
from dgis.watch.steps import timed
from replica.context import Replicas
from replica.intent import IntentLost, commit_copies
from replica.rules import Labels
from replica.store import put_with_quorum
from replica.values import NewObject, NotStored, Stored
from storage_nodes.addresses import Kind

_log = structlog.get_logger(__name__)

_READ_BELOW_BYTES = 4 << 20  # smaller originals are read, larger ones mapped: a mapping costs a descriptor

for _outcome in ("published", "failed"):  # a figure that is not there yet cannot be seen to rise
    ATTEMPTS.labels(_outcome)


class NotNow(Exception):  # noqa: N818 (the part waits for its next attempt)
    """An attempt that did not come through; the text says why and holds nothing of an image."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how long a lease holds."""

    part_bytes: int
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Means:
    """What publishing works with.

    Attributes:
        scratch: where large restored originals wait in nameless files.
        facility: whose images these are; rules of placement look at it.
        announce: told of each series of which a part is published, in the transaction that does it.
    """

    engine: sa.Engine
    cache: CacheIndex
    packer: Packer
    keys: KeyStore
    replicas: Replicas
    clock_ms: Callable[[], int]
    restore: Restore
    scratch: Path | None = None
    facility: str = ""
    announce: Callable[[sa.Connection, int, int], None] = lambda _connection, _series, _now_ms: None


class _Key(NamedTuple):
    """Under which key a part is sealed: whose, its name, the key of the study it is of, and its modality."""

    patient: str
    name: str
    study: str
    modality: str


class Publisher:
    """Publishes the parts of one gateway; `run_once` may be called by several threads and processes."""

    def __init__(self, means: Means, owner: Owner, pace: Pace) -> None:
        self._engine = means.engine
        self._cache = means.cache
        self._packer = means.packer
        self._keys = means.keys
        self._replicas = means.replicas
        self._clock_ms = means.clock_ms
        self._restore = means.restore
        self._scratch = means.scratch
        self._facility = means.facility
        self._announce = means.announce
        self._owner = owner
        self._pace = pace

    def plan(self) -> int:
        """Cut series that are due into parts; return how many series, none when there is nothing left."""

        def plan() -> int:
            now_ms, part_bytes = self._clock_ms(), self._pace.part_bytes
            with self._engine.begin() as connection:
                return planning.plan_due(connection, self._owner.gateway_id, now_ms, part_bytes)

        return again(plan, WORKER)

    def run_once(self) -> bool:
        """Publish one part; False where none is due. A failed attempt is noted and waits for its next."""
        with self._engine.begin() as connection:
            part = queue.claim(connection, self._owner, self._clock_ms(), self._pace.lease_ms)
        if part is None:
            return False
        failpoints.hit("publish.claimed")
        try:
            with self._lease(part), timed(Timed.PUBLISH):
                self._publish(part)
            ATTEMPTS.labels("published").inc()
        except (NotNow, IntentLost, KeysError) as error:
            self._give_back(part, Failure(str(error), outside=True))
        except sa.exc.SQLAlchemyError as error:
            words = f"the database failed ({type(error).__name__})"
            self._give_back(part, Failure(words, outside=True))
        except (PackError, EvictedError) as error:
            self._give_back(part, Failure(str(error), outside=False))
        except Exception as error:  # noqa: BLE001 (one part must not stop the others; the type says enough)
            _log.exception("publish_failed", part=part.id, attempts=part.attempts)
            words = f"unexpected {type(error).__name__}; see the log of the worker"
            self._give_back(part, Failure(words, outside=False))
        return True

    def _publish(self, part: Part) -> None:
        with ExitStack() as stack:
            with timed(Timed.PACK):
                key, packed = self._pack(part, stack)
            failpoints.hit("publish.packed")
            # Where a decision publishes nothing, what was sealed whole lies in its companion already.
            with timed(Timed.PLACE):
                stored = self._put(part, packed, key.modality) if packed.published or not part.decided else []
        failpoints.hit("publish.placed")
        with timed(Timed.COMMIT):
            self._commit(part, packed, stored, key)
        _log.info(
            "part_published",
            record=part.record_key,
            instances=len(packed.published),
            withheld=len(packed.withheld),
            attempts=part.attempts,
        )

    def _pack(self, part: Part, stack: ExitStack) -> tuple[_Key, PackedPart]:
        with reading(self._engine) as connection:
            keys = series_keys(connection, part.phi_series_id)
            by = contribution(connection, part.phi_series_id)
            rows = sealed_rows(connection, part, self._owner.gateway_id)
        key = current_key(self._keys, keys.patient)
        failpoints.hit("publish.keyed")
        sources = [self._open(original, stack) for original in part.originals]
        about = about_part(part, keys.patient, by, self._packer.contributions)
        sealing = Sealing(self._keys.site, key, rows, about=about)
        packed = pack(part.record_key, sources, self._packer, sealing)
        return _Key(keys.patient, key.name, keys.study, code_of(keys.modality)), packed

    def _open(self, original: Original, stack: ExitStack) -> Source:
        location = original.location
        data: Buffer
        if isinstance(location, Sealed):
            data = self._restored(location)
        elif original.length < _READ_BELOW_BYTES:
            with self._cache.open(location) as extent:
                data = extent.read(0, original.length)
        else:
            data = stack.enter_context(self._cache.open(location)).view()
        return Source(
            original.phi_instance_id,
            original.sop_instance_uid,
            original.transfer_syntax,
            location.sha256,
            data,
            original.decision,
        )

    def _restored(self, sealed: Sealed) -> Buffer:
        """Return an original that lies in a companion alone; it was compared with its digest there."""
        (answer,) = self._restore(RestoreRequest(sealed.record_key, (sealed.position,)))
        if isinstance(answer, NotRestored):
            raise NotNow(f"an original cannot be restored: {answer.reason}")
        if answer.length < _READ_BELOW_BYTES:
            return b"".join(answer.chunks)
        return spooled(answer.chunks, self._scratch)

    def _put(self, part: Part, packed: PackedPart, modality: str) -> list[Stored]:
        self._step(part, Step.PLACING)
        labels = Labels(self._facility, modality)
        objects = [
            (_sealed_object(part, packed, labels), [memoryview(piece) for piece in packed.companion.body])
        ]
        if packed.record is not None:
            record = packed.record
            layout = layouts.to_json(record.layout)
            new = NewObject(part.record_key, Kind.RECORD, record.size, record.sha256, layout, labels)
            objects.append((new, [memoryview(piece) for piece in record.body]))
        stored = []
        for new, body in objects:
            outcome = put_with_quorum(self._replicas, new, body)
            if isinstance(outcome, NotStored):
                raise NotNow(_why(outcome))
            stored.append(outcome)
            failpoints.hit(f"publish.{new.kind}_put")
        return stored

    def _commit(self, part: Part, packed: PackedPart, stored: list[Stored], key: _Key) -> None:
        """Commit; where its answer was lost, `queue.finished` tells whether it came through."""
        self._step(part, Step.COMMITTING)
        again(lambda: self._commit_once(part, packed, stored, key), WORKER)
        failpoints.hit("publish.after_commit")

    def _commit_once(self, part: Part, packed: PackedPart, stored: list[Stored], key: _Key) -> None:
        now_ms = self._clock_ms()
        size = packed.companion.size + (packed.record.size if packed.record else 0) if stored else 0
        originals = [each.phi_instance_id for each in part.originals]
        with self._engine.begin() as connection:
            if not may_publish(connection, key.patient, key.name, originals):
                raise NotNow("the patient's key is being destroyed")
            result = Result(len(packed.withheld), size, packed.removed)
            if not queue.finished(connection, part, self._owner, now_ms, result):
                raise NotNow("another worker has taken the part over")
            for each in stored:
                commit_copies(connection, each, now_ms)
            catalog.publish(connection, _catalog_part(part, packed, now_ms))
            if part.decided:
                reasons = {each.phi_instance_id: each.reason for each in packed.withheld}
                note_outcomes(connection, part, reasons, now_ms)
            self._cache.mark_published(connection, originals)
            planning.settle(connection, Job(self._owner.gateway_id, part.phi_series_id))
            self._announce(connection, part.phi_series_id, now_ms)
            # Last: whoever else writes to this chain waits from here to the commit.
            trail.append(
                connection, f"{self._owner.gateway_id}/worker", [_published(part, packed, key)], now_ms
            )
            failpoints.hit("publish.before_commit")

    def _step(self, part: Part, step: Step) -> None:
        def renew() -> bool:
            with self._engine.begin() as connection:
                until_ms = self._clock_ms() + self._pace.lease_ms
                return queue.renew(connection, part, self._owner, until_ms, step)

        if not again(renew, WORKER):
            raise NotNow("another worker has taken the part over")

    @contextmanager
    def _lease(self, part: Part) -> Iterator[None]:
        """Keep the lease while a step takes long: packing a huge instance, nodes that answer slowly."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(self._pace.lease_ms / 3000):
                try:
                    with self._engine.begin() as connection:
                        until_ms = self._clock_ms() + self._pace.lease_ms
                        queue.renew(connection, part, self._owner, until_ms)
                except sa.exc.SQLAlchemyError as error:
                    _log.warning("lease_not_renewed", part=part.id, error=type(error).__name__)

        thread = threading.Thread(target=keep, name="publish-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _give_back(self, part: Part, failure: Failure) -> None:
        ATTEMPTS.labels("failed").inc()
        _log.warning("part_waits", part=part.id, attempts=part.attempts, reason=failure.words)
        try:
            with self._engine.begin() as connection:
                queue.failed(connection, part, self._owner, self._clock_ms(), failure)
        except sa.exc.SQLAlchemyError as error:  # the lease runs out by itself
            _log.warning("part_not_given_back", part=part.id, error=type(error).__name__)


def _sealed_object(part: Part, packed: PackedPart, labels: Labels) -> NewObject:
    companion = packed.companion
    return NewObject(part.record_key, Kind.SEALED, companion.size, companion.sha256, None, labels)


def _published(part: Part, packed: PackedPart, key: _Key) -> Happening:
    """Return what the trail keeps of a part that is in the grid, published or sealed whole."""
    counts: dict[str, Json] = {"published": len(packed.published), "withheld": len(packed.withheld)}
    studies: list[Json] = [{"patient": key.patient, "study": key.study}]
    detail: dict[str, Json] = {
        **counts,
        "studies": studies,
        "record": str(part.record_key),
        "decided": part.decided,
    }
    return Happening(Event.PUBLISH, "", patients=(key.patient,), detail=detail)


def _why(outcome: NotStored) -> str:
    told = "; ".join(f"{node}: {trouble}" for node, trouble in sorted(outcome.failures.items()))
    return f"{outcome.reason} ({told})" if told else outcome.reason


def _catalog_part(part: Part, packed: PackedPart, now_ms: int) -> catalog.Part:
    behind = len(packed.published)
    return catalog.Part(
        record_key=str(part.record_key),
        published=[
            catalog.PublishedInstance(
                each.phi_instance_id, place, each.attributes, each.transfer_syntax, each.size_bytes
            )
            for place, each in enumerate(packed.published)
        ],
        withheld=[
            catalog.WithheldInstance(each.phi_instance_id, behind + place, each.reason)
            for place, each in enumerate(packed.withheld)
        ],
        published_ms=now_ms,
        decided=part.decided,
    )
