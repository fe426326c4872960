"""kill -9 at each step of `dgis retention run`: the same command goes on, and a hold is never overtaken."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway import PROJECT
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("retention-kill")]

RULES = "[retention]\nrules = [{ keep_days = 30 }]\n"
OLD_MS = 1_600_000_000_000
POINTS = [("retention.before_commit", 2), ("retention.after_commit", 1), ("erase.overwritten", 1)]


@pytest.fixture
def home():
    """A home with three series, two of them old, and no gateway over it."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        images = [phantom(2, person=number, seed=number + 1) for number in range(3)]
        made.receive([image for series in images for image in series])
        made.publish()
        made.uncleared.write_text(made.uncleared.read_text() + RULES)
        with closing(sqlite3.connect(made.folder / "catalog.sqlite")) as database:
            old = [image.sop_instance_uid for series in images[:2] for image in series]
            marks = ",".join("?" * len(old))
            database.execute(
                f"UPDATE phi_instance SET received_ms = {OLD_MS} WHERE sop_instance_uid IN ({marks})", old
            )
            database.commit()
        yield made


def dgis(home, *arguments, failpoints="", code=0):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DGIS__FAILPOINTS": failpoints}
    where = ("--home", str(home.folder), "--config", str(home.uncleared), "--json")
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


@pytest.mark.parametrize(
    ("point", "count"),
    POINTS,
)
def test_a_deletion_that_was_killed_is_finished_by_the_same_command(home, point, count):
    assert len(dgis(home, "retention", "run", "--dry-run")) == 2
    assert dgis(home, "status")["catalog"]["received"] == 6
    dgis(home, "retention", "run", "--yes", failpoints=f"{point}:{count}", code=-signal.SIGKILL)
    dgis(home, "retention", "run", "--yes")
    status = dgis(home, "status")
    assert (status["catalog"]["received"], status["catalog"]["published"]) == (2, 2)
    assert dgis(home, "retention", "list") == []
    dgis(home, "audit", "verify")


def test_what_is_on_hold_stays(home):
    (first, second) = dgis(home, "retention", "list")
    number = dgis(home, "hold", "add", "--series", first["series"], "--reason", "a lawsuit")["id"]
    done = dgis(home, "retention", "run", "--yes")
    assert (done["series"], done["held"]) == (1, 1)
    assert [each["held_by"] for each in dgis(home, "retention", "list")] == [number]
    assert [each["series_key"] for each in dgis(home, "hold", "list")] == [first["series"]]
    assert second["series"] not in str(dgis(home, "series", "list"))
    dgis(home, "hold", "remove", str(number))
    assert dgis(home, "retention", "run", "--yes")["series"] == 1
