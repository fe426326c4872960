"""kill -9 at each step of `dgis keys shred` and `dgis keys rotate`: the same command again ends it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dgis.demo.people import PEOPLE
from tests.canary import Hunt
from tests.gateway import PROJECT
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("erasure-kill")]

GONE, KEPT = phantom(3, person=0), phantom(3, person=1, seed=2)
WHO = ("keys", "shred", "--patient", PEOPLE[0].patient_id, "--issuer", "DEMO", "--yes")
# Each point with the passage at which the process dies.
SHRED = {
    "erase.asked": 1,
    "erase.shredded": 1,
    "erase.rows_gone": 1,
    "erase.overwritten": 1,
    "erase.wiped": 1,
    "erase.spares_wiped": 1,
    "erase.cleaned": 1,
}
ROTATE = [("keys.begun", 1), ("keys.copy", 1), ("keys.copy", 4), ("keys.rewrapped", 1), ("keys.retired", 1)]


@pytest.fixture(scope="module")
def prepared():
    """A home with two patients published, and no gateway over it."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        home = Home(Path(folder) / "h")
        home.folder.mkdir()
        home.receive([*GONE, *KEPT])
        home.publish()
        yield home.folder


@pytest.fixture
def home(prepared):
    """The same home: nodes stand in it with their paths, so it is put back after each kill."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        kept = shutil.copytree(prepared, Path(folder) / "kept", symlinks=True)
        yield prepared
        shutil.rmtree(prepared)
        shutil.copytree(kept, prepared)


def dgis(home, *arguments, failpoints="", code=0):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DGIS__FAILPOINTS": failpoints}
    command = [sys.executable, "-m", "dgis", *arguments, "--home", str(home), "--json"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr.decode()
    return json.loads(done.stdout) if not failpoints else None


def hunt():
    uids = {uid for one in GONE for uid in (one.sop_instance_uid, one.series_uid, one.study_uid)}
    return Hunt({*uids, PEOPLE[0].patient_id, PEOPLE[0].accession_number, PEOPLE[0].name})


def left(home):
    found = hunt()
    files = (path for path in home.rglob("*") if path.is_file())
    return {str(path): what for path in files if (what := found.find(path.read_bytes()))}


def fetched(home, images, folder):
    """What the local hospital gets back; the worker is one of this process."""
    own = Home(home)
    stop = own.worker()
    try:
        where = ("--to", str(folder), "--config", str(own.cleared), "--home", str(home))
        done = subprocess.run(
            [sys.executable, "-m", "dgis", "fetch", images[0].study_uid, *where],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            timeout=120,
            check=False,
        )
    finally:
        stop()
    return done.returncode, [path.read_bytes() for path in sorted(folder.glob("*.dcm"))]


@pytest.mark.parametrize("point", SHRED)
def test_a_shredding_that_was_killed_is_finished_by_the_same_command(home, tmp_path, point):
    assert left(home)
    dgis(home, *WHO, failpoints=f"{point}:{SHRED[point]}", code=-signal.SIGKILL)
    report = dgis(home, *WHO)
    assert report["complete"]
    assert report["erasure"]["instances"] == len(GONE)
    assert left(home) == {}
    dgis(home, "cache", "evict", "--all")
    code, files = fetched(home, KEPT, tmp_path / "kept")
    assert (code, len(files)) == (0, len(KEPT))
    assert all(any(raw.endswith(one.dataset) for raw in files) for one in KEPT)
    assert fetched(home, GONE, tmp_path / "gone") == (1, [])


def test_killed_before_the_commit_point_nothing_happened(home, tmp_path):
    dgis(home, *WHO[:-1], "--dry-run")
    assert dgis(home, "keys", "status")["stores"][0]["shredded"] == 0
    dgis(home, "cache", "evict", "--all")
    assert fetched(home, GONE, tmp_path / "gone")[0] == 0


@pytest.mark.parametrize(("point", "count"), ROTATE)
def test_a_rotation_that_was_killed_is_finished_by_the_same_command(home, tmp_path, point, count):
    kek = home / "keys" / "kek"
    old = kek.read_text().strip()
    dgis(home, "keys", "rotate", failpoints=f"{point}:{count}", code=-signal.SIGKILL)
    dgis(home, "cache", "evict", "--all")
    for images in (GONE, KEPT):
        code, files = fetched(home, images, tmp_path / images[0].series_uid)
        assert (code, len(files)) == (0, len(images))
    assert dgis(home, "keys", "rotate")["retired"]
    assert old not in kek.read_text()
    status = dgis(home, "keys", "status")
    assert not status["rotating"]
    assert [(each["keys"], each["outdated"]) for each in status["stores"]] == [(2, 0), (2, 0)]
    assert fetched(home, KEPT, tmp_path / "after")[0] == 0
