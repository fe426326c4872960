"""kill -9 at each step of a merge: everybody gets the same before and after it, and it is done once."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from catalog.tables import DEID, PHI
from dgis import fleet, parts, settings
from dgis.chores.merging import merging
from dgis.keyholder.protocol import RestoreRequest
from dgis.keyholder.restore import Restorer
from dgis.merger.tables import merge_job, merged_part
from dgis.publisher.tables import publish_part
from dgis.retriever.records import Shelf
from replica.context import Replicas
from replica.source import Reporter
from replica.tables import replica_object
from storage_nodes.names import RecordKey
from tests.gateway import PROJECT
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import digest, phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("merge-kill")]

POINTS = [
    "merge.claimed",
    "merge.packed",
    "merge.sealed_put",
    "merge.record_put",
    "merge.placed",
    "merge.before_commit",
    "merge.after_commit",
]
RULES = "[care]\nmerge_parts = 3\nmerge_quiet_seconds = 0.0\n"


class Opened:
    """A home, looked at and worked on from a process of its own."""

    def __init__(self, configuration):
        self.configuration = configuration
        self.engine = parts.open_database(configuration)
        self.replicas = Replicas(self.engine, fleet.open_fleet(configuration), fleet.rules(configuration))
        self.shelf = Shelf(self.engine, self.replicas.fleet, Reporter(self.engine, parts.now_ms))
        self.secrets, self.keys = parts.open_keys(configuration)

    def rows(self, table):
        with self.engine.connect() as connection:
            return connection.execute(sa.select(table)).all()

    def merge(self):
        (chore,) = merging(self.configuration, self.replicas, self.shelf, self.secrets, self.keys)
        while chore.run_once():
            pass

    def given(self):
        """Digests of all that is given out from the nodes: pseudonyms and UIDs."""
        forms = {
            row.sop_instance_uid: digest(
                b"".join(self.shelf.record(RecordKey(row.record_key)).dataset(row.position))
            )
            for row in self.rows(DEID.instance)
        }
        restorer = Restorer(self.shelf, self.keys, 1)
        originals = {
            row.sop_instance_uid: digest(b"".join(answer.chunks))
            for row in self.rows(PHI.instance)
            for answer in restorer(RestoreRequest(RecordKey(row.record_key), (row.position,)))
        }
        return forms | originals

    def let_time_pass(self):
        """Leases run out, and what failed has rested."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(merge_job).values(due_ms=0, lease_until_ms=0))


def merge_in_a_process(home, point):
    """Run the chore in a process that kills itself at a point; returns what it ended with."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DGIS__FAILPOINTS": f"{point}:1"}
    command = [sys.executable, "-m", "tests.faults.test_merge_kill", str(home.uncleared), str(home.folder)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)


@pytest.fixture
def home():
    """A home with a series in three parts, and no gateway over it."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.uncleared.write_text(made.uncleared.read_text() + RULES)
        made.configuration = settings.load(made.uncleared, made.folder)
        images = phantom(6)
        for start in (0, 2, 4):
            made.receive(images[start : start + 2])
            made.publish()
        yield made


def test_a_merge_that_is_killed_at_every_step_is_done_once(home):
    opened = Opened(home.configuration)
    before, old = opened.given(), {row.record_key for row in opened.rows(publish_part)}
    assert (len(before), len(old)) == (12, 3)
    drawn = set()
    for point in POINTS:
        opened.let_time_pass()
        ended = merge_in_a_process(home, point)
        assert ended.returncode == -signal.SIGKILL, (point, ended.stderr.decode())
        assert opened.given() == before, point
        drawn |= {row.record_key for row in opened.rows(merge_job) if row.record_key}
        if point != "merge.after_commit":
            assert {row.record_key for row in opened.rows(publish_part)} == old, point
    opened.let_time_pass()
    opened.merge()
    (part,) = opened.rows(publish_part)
    assert drawn == {part.record_key}  # each attempt was at the same record
    assert {row.into_key for row in opened.rows(merged_part)} == drawn
    assert opened.rows(merge_job) == []
    live = [row for row in opened.rows(replica_object) if row.committed_ms and not row.superseded_ms]
    assert {row.record_key for row in live} == drawn
    assert len(live) == 2
    assert opened.given() == before
    opened.engine.dispose()


if __name__ == "__main__":
    from dgis import failpoints

    asked = settings.load(Path(sys.argv[1]), Path(sys.argv[2]))
    failpoints.arm(asked.failpoints)
    Opened(asked).merge()
