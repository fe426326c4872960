"""Any order of storing, indexing, publishing, evicting and crashing: nothing unpublished is ever lost."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from dgis import tables
from dgis.cache.log import Limits
from tests.unit.dgis.cache.harness import House, body_of, known

UIDS = st.integers(0, 5)
VERSIONS = st.integers(0, 2)


def body(uid, version):
    return body_of((uid, version), 40_000 + 10_000 * uid)


class ReceiveLogLife(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        limits = Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=200_000, max_spares=2)
        self.house = House(self.home, limits)
        self.sent = {}  # by UID: versions in the order they were acknowledged
        self.writer = self.house.log.association()

    @rule(uid=UIDS, version=VERSIONS)
    def store(self, uid, version):
        self.house.store(body(uid, version), uid=f"1.{uid}", series=str(uid % 2 + 1), writer=self.writer)
        versions = self.sent.setdefault(uid, [])
        if version not in versions:
            versions.append(version)

    @rule(released=st.booleans())
    def next_association(self, released):
        self.writer.finish(released=released)
        self.writer = self.house.log.association()

    @rule()
    def index(self):
        self.house.drain()

    @rule(series=st.sampled_from([1, 2, None]))
    def publish(self, series):
        self.house.publish(series)

    @rule(room=st.sampled_from([1, 100_000, None]))
    def evict(self, room):
        self.house.evictor.evict(room)

    @rule()
    def crash(self):
        """The process is gone: nothing was sealed, locks are given back, the next one starts."""
        for source in self.house.log.backlog._sources.values():
            segment = getattr(source, "_segment", None)
            if segment is not None and not segment.sealed:
                segment.failed = True  # close without cutting the tail
                segment.seal()
        self.house.log.backlog.close()
        self.house._start()
        self.writer = self.house.log.association()

    @rule()
    def nothing_is_lost(self):
        if not self.sent:
            return
        self.house.drain()
        published = {row.uid: row.published for row in self.house.rows(known)}
        for uid, versions in self.sent.items():
            cached = self.house.read(f"1.{uid}")
            assert cached == [body(uid, versions[0])] or (published[f"1.{uid}"] and cached == [])
        held = {(row.sop_instance_uid, bytes(row.sha256)) for row in self.house.rows(tables.cache_conflict)}
        assert len(held) == sum(len(versions) - 1 for versions in self.sent.values())

    def teardown(self):
        self.nothing_is_lost()
        self.writer.finish(released=False)
        self.house.close()
        shutil.rmtree(self.home)


TestReceiveLogLife = ReceiveLogLife.TestCase
TestReceiveLogLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
