"""kill -9 at each step of `dgis rebuild`: the same command goes on, and all is found as before."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.gateway import PROJECT
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rebuild-kill")]

IMAGES = [*phantom(3, person=0), *phantom(3, person=1, seed=2)]
# Each point with the passage at which the process dies.
RESTORE = ("restore.filled", "restore.before_commit", "restore.after_commit")
BACKUP = "backup.written"
POINTS = [
    ("rebuild.object", 1),
    ("rebuild.object", 3),
    ("rebuild.before_commit", 2),
    ("rebuild.after_commit", 1),
]


@pytest.fixture(scope="module")
def home():
    """A home with two patients published and evicted, and no gateway over it."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive(IMAGES)
        made.publish()
        made.json("cache", "evict", "--all")
        yield made


def dgis(home, *arguments, failpoints="", code=0):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DGIS__FAILPOINTS": failpoints}
    where = ("--home", str(home.folder), "--config", str(home.cleared), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "dgis", *arguments, *where],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    return json.loads(done.stdout) if code == 0 else None


def found(home):
    keys = ("-k", "PatientID", "-k", "StudyInstanceUID", "-k", "NumberOfStudyRelatedInstances")
    return sorted(map(str, dgis(home, "find", "study", *keys)))


@pytest.mark.parametrize(("point", "count"), POINTS)
def test_a_rebuild_that_was_killed_is_finished_by_the_same_command(home, point, count):
    before = found(home)
    assert len(before) == 2
    for suffix in ("", "-wal", "-shm"):
        (home.folder / f"catalog.sqlite{suffix}").unlink(missing_ok=True)
    assert found(home) == []
    dgis(home, "rebuild", failpoints=f"{point}:{count}", code=-signal.SIGKILL)
    report = dgis(home, "rebuild")
    assert report["complete"]
    assert report["originals"] == report["deidentified_instances"] == len(IMAGES)
    assert found(home) == before
    stop = home.worker()
    try:
        for image in (IMAGES[0], IMAGES[-1]):
            with tempfile.TemporaryDirectory() as folder:
                dgis(home, "fetch", image.sop_instance_uid, "--to", folder)
                (path,) = Path(folder).glob("*.dcm")
                assert path.read_bytes().endswith(image.dataset)
    finally:
        stop()


@pytest.mark.parametrize("point", RESTORE)
def test_a_restore_that_was_killed_leaves_nothing_or_all_of_it(home, tmp_path, point):
    before = found(home)
    opens = ("--key-file", str(tmp_path / "key"))
    made = dgis(home, "backup", "--to", str(tmp_path), *opens)
    for suffix in ("", "-wal", "-shm"):
        (home.folder / f"catalog.sqlite{suffix}").unlink(missing_ok=True)
    dgis(home, "restore", made["file"], *opens, failpoints=f"{point}:1", code=-signal.SIGKILL)
    if point == "restore.after_commit":
        assert found(home) == before
        return
    assert found(home) == []
    dgis(home, "restore", made["file"], *opens)
    assert found(home) == before


def test_a_backup_that_was_killed_is_no_file(home, tmp_path):
    opens = ("--key-file", str(tmp_path / "key"))
    dgis(home, "backup", "--to", str(tmp_path), *opens, failpoints=f"{BACKUP}:1", code=-signal.SIGKILL)
    assert list(tmp_path.glob("*.backup")) == []
    made = dgis(home, "backup", "--to", str(tmp_path), *opens)
    assert [str(path) for path in tmp_path.glob("*.backup")] == [made["file"]]
    assert not list(tmp_path.glob(".*.tmp"))
