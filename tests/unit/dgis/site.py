"""A whole gateway in one process, without sockets: receive log, catalog, publisher, nodes in memory."""

import hashlib
from functools import cache

import sqlalchemy as sa

from catalog.callers import Assertions, Caller, Right
from catalog.contributors import PublisherGrant
from catalog.grants import everyone_finds_deidentified, write_once
from catalog.query import Key, Level, Query, Root
from catalog.retrieve import instances
from catalog.tables import DEID, PHI
from deid.engine import Deidentifier
from deid.keys.setup import keys_init, open_key_store
from deid.profile import Profile
from deid.pseudonyms import Pseudonyms, SiteSecrets
from deid.science.check import ScienceCheck
from dgis import database
from dgis.cache.eviction import Evictor
from dgis.cache.index import CacheIndex
from dgis.cache.indexer import Indexer
from dgis.cache.log import Limits, ReceiveLog
from dgis.cache.owner import Owner as CacheOwner
from dgis.cache.publish_queue import Patience
from dgis.cache.values import StoreMeta
from dgis.configuration import Configuration
from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from dgis.identity.wire import to_json
from dgis.ingest import ingester
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.keyholder.restore import Restorer
from dgis.publisher.about import Contributions
from dgis.publisher.pack import Packer
from dgis.publisher.publisher import Means, Pace, Publisher
from dgis.publisher.values import Owner
from dgis.retriever.records import Shelf
from dgis.retriever.retriever import Retriever
from replica.source import Reporter
from tests.unit.replica.grid import Grid

FACILITY = "Demo Hospital"
PUBLISHER = Assertions(issuer="gateway-1", user="pacs", department="Radiology", institution="Demo Hospital")
EVERYTHING = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})
CLEARED = Caller("hospital", PUBLISHER, EVERYTHING)
UNCLEARED = Caller("research", may=EVERYTHING - {Right.PHI})
SECRET = bytes(range(32))
PART_BYTES = 1 << 20


class Clock:
    def __init__(self):
        self.now_ms = 1_700_000_000_000

    def __call__(self):
        return self.now_ms

    def pass_seconds(self, seconds):
        self.now_ms += int(seconds * 1000)


@cache
def phantom(count=3, kind=kinds.PET, person=0, seed=1):
    """A series of images; the same objects for the same arguments, for they take a while to make."""
    return tuple(phantoms.series(kind, PEOPLE[person], count, seed))


class Site:
    """One gateway of a home and a database; `url` None is SQLite under the home."""

    def __init__(self, home, url=None, name="gateway-1", grid=None):
        self.home = home
        self.name = name
        self.clock = Clock()
        catalog = {"catalog": {"url": url}} if url else {}
        self.configuration = Configuration(gateway={"home": home, "name": name}, **catalog)
        self.engine = database.open_engine(self.configuration)
        database.migrate(self.engine)
        with self.engine.begin() as connection:
            write_once(connection, [everyone_finds_deidentified()])
        self.log = ReceiveLog.open(home / name, Limits(1 << 30, 0, 64 << 20), self.clock)
        self.pseudonymise = pseudonymiser(Pseudonyms(SiteSecrets(SECRET), FACILITY))
        self.ingest = ingester(FACILITY, lambda of: self.pseudonyms(of), PublisherGrant())  # noqa: PLW0108 (tests replace it)
        self.cache_owner = CacheOwner(name, Patience(1_000, 100), self.clock)
        self.indexer = Indexer(self.log, self.engine, self.ingest, self.cache_owner)
        self.index = CacheIndex(self.log.files, name)
        self.grid = grid or Grid(self.engine, clock=self.clock)
        if not (home / "secret").exists():
            keys_init(home / "secret", home / "kek", [home / "store"])
        self.keys = open_key_store(home / "kek", [home / "store"])
        self.packer = self.new_packer()
        reading = self.engine.execution_options(read_only=True)
        self.shelf = Shelf(reading, self.grid.fleet, Reporter(self.engine, self.clock))
        self.restorer = Restorer(self.shelf, self.keys, 2)

    def close(self):
        self.log.close()
        self.log.backlog.close()
        self.grid.release()
        self.restorer._threads.shutdown()
        self.engine.dispose()

    @staticmethod
    def new_packer():
        secrets = SiteSecrets(SECRET)
        own = Deidentifier(Profile(), secrets, FACILITY)
        return Packer(own, ScienceCheck(Profile()), {}, contributions=Contributions(secrets))

    def pseudonyms(self, of):
        return [self.pseudonymise(each) for each in of]

    def publisher(self, name="worker", *, packer=None, lease_ms=60_000, part_bytes=PART_BYTES, engine=None):
        means = Means(
            engine or self.engine,
            self.index,
            packer or self.packer,
            self.keys,
            self.grid.replicas,
            self.clock,
            self.restorer,
            facility=FACILITY,
        )
        return Publisher(means, Owner(self.name, name), Pace(part_bytes, lease_ms))

    def receive(self, images, *, index=True, assertions=PUBLISHER):
        writer = self.log.association()
        for image in images:
            meta = StoreMeta(
                sop_class_uid=image.sop_class_uid,
                sop_instance_uid=image.sop_instance_uid,
                transfer_syntax=image.transfer_syntax,
                calling_ae="HOSPITAL",
                called_ae="DGIS",
                peer_address="127.0.0.1",
                received_ms=self.clock(),
                assertions=to_json(assertions),
            )
            entry = writer.begin(meta)
            entry.write(memoryview(image.dataset))
            entry.commit()
        writer.finish(released=True)
        if index:
            self.index_all()

    def index_all(self):
        while self.indexer.run_once():
            pass

    def plan(self, publisher=None):
        self.clock.pass_seconds(2)
        publisher = publisher or self.publisher()
        while publisher.plan():
            pass

    def publish(self, images=(), *, part_bytes=PART_BYTES):
        """Receive, plan and publish until nothing is due."""
        if images:
            self.receive(images)
        publisher = self.publisher(part_bytes=part_bytes)
        self.plan(publisher)
        while publisher.run_once():
            pass

    def rows(self, table):
        with self.engine.connect() as connection:
            return connection.execute(sa.select(table)).all()

    def evict(self):
        return Evictor(self.log.files, self.engine, self.name, self.log.space).evict(None)

    def refs(self, caller, image=None):
        """What a caller may retrieve; an uncleared one asks by originals' UIDs and pseudonyms both."""
        originals = [row.sop_instance_uid for row in self.rows(PHI.instance)]
        pseudonyms = [row.sop_instance_uid for row in self.rows(DEID.instance)]
        uids = originals if caller is CLEARED else originals + pseudonyms
        uids = uids if image is None else [image.sop_instance_uid]
        query = Query(Root.STUDY, Level.IMAGE, (Key("SOPInstanceUID", tuple(uids)),), relational=True)
        with self.engine.connect() as connection:
            return list(instances(connection, query, caller, None, self.clock()))

    def retriever(self, keyholder):
        reading = self.engine.execution_options(read_only=True)
        return Retriever(reading, self.index, self.shelf, keyholder, self.clock)


def digest(data):
    return hashlib.sha256(data).digest()


def whole(sendable):
    return b"".join(list(sendable.open()))
