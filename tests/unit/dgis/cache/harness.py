"""A receive log with a small catalog beside it, for tests of the cache."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from dgis.cache.eviction import Evictor
from dgis.cache.index import CacheIndex
from dgis.cache.indexer import Indexer
from dgis.cache.log import Limits, ReceiveLog
from dgis.cache.outcomes import Conflict, Duplicate, New, Unreadable
from dgis.cache.owner import Owner
from dgis.cache.publish_queue import Patience
from dgis.cache.values import Refused, Stored, StoreMeta
from dgis.configuration import Configuration
from dgis.database import open_engine
from dgis.tables import metadata

GATEWAY = "gateway-1"
SPARSE = Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=1 << 20)
PATIENCE = Patience(stable_age_ms=60_000, after_release_ms=5_000)

known = sa.Table(
    "known_instance",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.Text, unique=True),
    sa.Column("sha256", sa.LargeBinary),
    sa.Column("series", sa.Integer),
    sa.Column("published", sa.Boolean, default=False),
)


class Clock:
    def __init__(self, now_ms=1_700_000_000_000):
        self.now_ms = now_ms

    def __call__(self):
        self.now_ms += 1
        return self.now_ms


def ingest(connection: sa.Connection, batch: Sequence) -> list:
    """A catalog that knows UIDs and digests; the series is a number in `series_uid`."""
    return [_ingest_one(connection, arrival) for arrival in batch]


def _ingest_one(connection, arrival):
    with arrival.open() as extent:
        if extent.read(0, 8) == b"POISON!!":
            raise RuntimeError("a bug that this instance meets")
        if extent.read(0, 8) == b"GARBAGE!":
            return Unreadable("no data set")
    uid = arrival.meta.sop_instance_uid
    row = connection.execute(sa.select(known).where(known.c.uid == uid)).one_or_none()
    if row is None:
        values = {
            "uid": uid,
            "sha256": arrival.location.sha256,
            "series": int(arrival.meta.series_uid or "1"),
        }
        key = connection.execute(sa.insert(known).values(**values)).inserted_primary_key[0]
        return New(key, values["series"])
    if row.sha256 == arrival.location.sha256:
        return Duplicate(row.id, row.series, row.published)
    return Conflict(row.id)


def replace(connection, arrival, phi_instance_id):
    if phi_instance_id is not None:
        connection.execute(sa.delete(known).where(known.c.id == phi_instance_id))
    return _ingest_one(connection, arrival)


class House:
    """One home with its database; `restart` is what a new process does."""

    def __init__(self, home: Path, limits: Limits = SPARSE, engine: sa.Engine | None = None, gateway=GATEWAY):
        self.home = home
        self.limits = limits
        self.clock = Clock()
        self.owner = Owner(gateway, PATIENCE, self.clock)
        self.engine = engine or open_engine(Configuration(gateway={"home": home}))
        metadata.create_all(self.engine)
        known.metadata.create_all(self.engine)
        self._start()

    def _start(self):
        self.log = ReceiveLog.open(self.home, self.limits, self.clock)
        self.indexer = Indexer(self.log, self.engine, ingest, self.owner)
        self.index = CacheIndex(self.log.files, self.owner.gateway_id)
        self.evictor = Evictor(self.log.files, self.engine, self.owner.gateway_id, self.log.space)

    def stop(self):
        self.log.close()
        self.log.backlog.close()

    def restart(self):
        self.stop()
        self._start()

    def close(self):
        self.stop()
        self.engine.dispose()

    def store(self, *bodies, uid="1.2.3", series="1", released=False, writer=None):
        """Store bodies through one association; the n-th has the UID `uid`.n unless there is one only."""
        own = writer or self.log.association()
        stored = []
        for number, body in enumerate(bodies):
            name = uid if len(bodies) == 1 else f"{uid}.{number}"
            stored.append(put(own, self.meta(name, series), body))
        if writer is None:
            own.finish(released=released)
        return stored

    def meta(self, uid="1.2.3", series="1"):
        return meta(uid, series, self.clock())

    def drain(self):
        count = 0
        while done := self.indexer.run_once():
            count += done
        return count

    def rows(self, table):
        with self.engine.connect() as connection:
            return connection.execute(sa.select(table)).all()

    def read(self, uid):
        """Every byte that is cached under a UID."""
        with self.engine.connect() as connection:
            found = self.index.locate_uid(connection, uid)
        return [self.bytes_at(each.location) for each in found]

    def bytes_at(self, location):
        with self.index.open(location) as extent:
            extent.check()
            return extent.read(0, len(extent))

    def publish(self, series=None):
        """Mark everything, or one series, as safely on the nodes."""
        with self.engine.begin() as connection:
            query = sa.select(known.c.id)
            query = query if series is None else query.where(known.c.series == series)
            ids = connection.scalars(query).all()
            connection.execute(sa.update(known).where(known.c.id.in_(ids)).values(published=True))
            self.index.mark_published(connection, ids)


def meta(uid="1.2.3", series="1", received_ms=1):
    return StoreMeta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=uid,
        transfer_syntax="1.2.840.10008.1.2.1",
        calling_ae="SENDER",
        called_ae="DGIS",
        peer_address="127.0.0.1",
        received_ms=received_ms,
        series_uid=series,
        assertions={"user": "pacs"},
    )


def put(writer, about, body):
    entry = writer.begin(about)
    if isinstance(entry, Refused):
        return entry
    for start in range(0, len(body), 100_000):
        entry.write(body[start : start + 100_000])
    return entry.commit()


def body_of(number, length=10_000):
    """Bytes that are all different for every number."""
    seed = hashlib.sha256(str(number).encode()).digest()
    return (seed * (length // 32 + 1))[:length]


def locations(stored):
    assert all(isinstance(each, Stored) for each in stored)
    return [each.location for each in stored]


def descriptors():
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
