"""kill -9 at every step, and disks that are full or read-only."""

import hashlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from dgis import tables
from tests.unit.dgis.cache.harness import House, known
from tests.unit.dgis.cache.sender import LIMITS

ROOT = Path(__file__).resolve().parents[2]

# every failpoint of the cache, at an early and at a late passage
POINTS = [
    ("cache.segment_made", (1, 3)),
    ("cache.segment_named", (1, 3)),
    ("cache.entry_begun", (1, 9)),
    ("cache.half_body", (1, 4)),
    ("cache.before_fsync", (1, 14)),
    ("cache.after_fsync", (1, 14)),
    ("cache.before_index_commit", (1, 3)),
    ("cache.after_index_commit", (1, 3)),
    ("cache.before_evict_commit", (1, 2)),
    ("cache.after_evict_commit", (1, 2)),
    ("cache.extent_freed", (1, 2)),
    ("cache.segment_put_away", (1,)),
]


def run(home, points, *, prefix=()):
    command = [*prefix, sys.executable, "-m", "tests.unit.dgis.cache.sender", str(home), points]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def acknowledged(output):
    """The first bytes acknowledged under each UID, and all others."""
    first, others = {}, set()
    for line in output.splitlines():
        uid, digest = line.split()
        if first.setdefault(uid, digest) != digest:
            others.add((uid, digest))
    return first, others


def check(house, first, others):
    """Every acknowledged instance is cached, or was published; every other version is held."""
    published = {row.uid: row.published for row in house.rows(known)}
    for uid, digest in first.items():
        cached = [hashlib.sha256(body).hexdigest() for body in house.read(uid)]
        assert cached == [digest] or (cached == [] and published[uid])
    held = {(row.sop_instance_uid, bytes(row.sha256).hex()) for row in house.rows(tables.cache_conflict)}
    assert others <= held
    unpublished = [row.series for row in house.rows(known) if not row.published]
    pending = {row.phi_series_id: row.pending_instances for row in house.rows(tables.publish_job)}
    assert all(pending[series] >= unpublished.count(series) for series in unpublished)


@pytest.mark.parametrize(("point", "count"), [(point, count) for point, counts in POINTS for count in counts])
def test_a_killed_process_loses_nothing_it_answered_for(tmp_path, point, count):
    killed = run(tmp_path, f"{point}:{count}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first, others = acknowledged(killed.stdout)
    house = House(tmp_path, LIMITS)
    house.drain()
    check(house, first, others)
    rows = len(house.rows(tables.cache_instance))
    house.restart()
    assert house.drain() == 0
    assert len(house.rows(tables.cache_instance)) == rows
    house.close()
    again = run(tmp_path, "")
    assert again.returncode == 0, again.stderr
    house = House(tmp_path, LIMITS)
    second, _ = acknowledged(again.stdout)
    check(house, {**second, **first}, others)
    house.close()


def test_the_sender_ends_well_without_a_failpoint(tmp_path):
    done = run(tmp_path, "")
    assert done.returncode == 0, done.stderr
    first, others = acknowledged(done.stdout)
    assert len(first) > 15
    house = House(tmp_path, LIMITS)
    check(house, first, others)
    with house.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.cache_instance)) < len(first)
    house.close()


FULL_DISK = """
import os, sys
from pathlib import Path
from dgis.cache.log import Limits
from dgis.cache.values import Refused, RefusalReason, Stored
from tests.unit.dgis.cache.harness import House, body_of, put
home, database = Path(sys.argv[1]), Path(sys.argv[2])
from dgis.configuration import Configuration
from dgis.database import open_engine
engine = open_engine(Configuration(gateway={"home": database}))
limits = Limits(max_bytes=1 << 30, free_floor_bytes=int(sys.argv[3]), segment_bytes=4 << 20, max_spares=1)
house = House(home, limits, engine=engine)
answers = {}
for number in range(40):
    answers[number] = house.store(body_of(number, 700_000), uid=f"1.{number}")[0]
kept = [number for number, answer in answers.items() if isinstance(answer, Stored)]
refused = [answer for answer in answers.values() if isinstance(answer, Refused)]
assert kept and refused, (len(kept), len(refused))
assert {each.reason for each in refused} == {RefusalReason.NO_SPACE}, refused
assert {each.status for each in refused} == {0xA700}
house.drain()
assert all(house.read(f"1.{number}") == [body_of(number, 700_000)] for number in kept)
house.publish()
freed = house.evictor.evict()
assert freed.instances == len(kept), (freed, len(kept))
assert isinstance(house.store(body_of(99, 700_000), uid="1.99")[0], Stored)
house.restart()
house.drain()
assert house.read("1.99") == [body_of(99, 700_000)]
house.close()
"""

READ_ONLY = """
import sys
from pathlib import Path
from dgis.cache.log import Limits, ReceiveLog
try:
    ReceiveLog.open(Path(sys.argv[1]), Limits(max_bytes=1 << 30, free_floor_bytes=0))
except OSError as error:
    sys.exit(0 if error.strerror == "Read-only file system" else 2)
sys.exit(3)
"""


def on_own_disk(tmp_path, options, script, *arguments):
    """Run a script on a small file system of its own, which nobody else sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [sys.executable, "-c", script, str(disk), str(tmp_path / "database"), *arguments]
    mount = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare (util-linux) to mount a small disk with")
    tried = subprocess.run(
        [unshare, "-m", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0"', str(disk)],
        check=False,
        capture_output=True,
    )
    if tried.returncode:
        pytest.skip("mounting a small disk is not permitted here; run as root")
    command = [unshare, "-m", "sh", "-c", mount, str(disk), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("floor_bytes", [0, 2 << 20])
def test_a_full_disk_refuses_and_recovers(tmp_path, floor_bytes):
    done = on_own_disk(tmp_path, "size=9m", FULL_DISK, str(floor_bytes))
    assert done.returncode == 0, done.stderr


def test_a_read_only_disk_is_an_error_at_the_start(tmp_path):
    done = on_own_disk(tmp_path, "ro,size=1m", READ_ONLY)
    assert done.returncode == 0, done.stderr


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from dgis.cache.log import Limits
from dgis.cache.values import Refused, Stored
from tests.unit.dgis.cache.harness import House, body_of
house = House(Path(sys.argv[1]), Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=1 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
answers = [house.store(body_of(n, 800_000), uid=f"1.{n}")[0] for n in range(6)]
assert [isinstance(each, Stored) for each in answers] == [True] * 3 + [False] * 3, answers
assert answers[-1].status == 0xA700
assert isinstance(house.store(b"small", uid="1.9")[0], Stored)
house.drain()
assert all(house.read(f"1.{n}") == [body_of(n, 800_000)] for n in range(3))
assert house.read("1.9") == [b"small"]
house.close()
"""


def test_a_write_that_stops_in_the_middle_is_rolled_back(tmp_path):
    command = [sys.executable, "-c", FILE_LIMIT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_second_process_writes_beside_the_first(tmp_path):
    house = House(tmp_path, LIMITS)
    writer = house.log.association()
    entry = writer.begin(house.meta("9.1"))
    entry.write(b"on its way")
    other = run(tmp_path, "")
    assert other.returncode == 0, other.stderr
    entry.commit()
    writer.finish(released=True)
    house.drain()
    assert house.read("9.1") == [b"on its way"]
    check(house, *acknowledged(other.stdout))
    house.close()
    assert list((tmp_path / "cache" / "segments").iterdir())
