import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import wait_until
from tests.tools.processes import runs

SUPERVISED = Path(__file__).parents[2] / "tools" / "supervised.py"
SLEEPER = "ready()\ntime.sleep(600)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
NEVER_READY = "time.sleep(600)"


class Family:
    """A supervisor in a process of its own, over pieces of Python as roles."""

    def __init__(self, folder, bodies, options):
        self.folder = folder
        spec = {"folder": str(folder), "bodies": bodies, **options}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, SUPERVISED, json.dumps(spec)], stdout=log, stderr=log
            )

    def said(self, role):
        return json.loads((self.folder / f"{role}.json").read_text())

    def pids(self):
        return [self.said(path.stem)["pid"] for path in self.folder.glob("*.json")]

    def wait_announced(self):
        wait_until((self.folder / "announced").is_file, 60, "it announced that all are ready")

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)

    def log(self):
        return (self.folder / "log").read_text()


@pytest.fixture
def family(tmp_path):
    begun = []

    def begin(bodies, **options):
        begun.append(Family(tmp_path, bodies, options))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.stop()


def test_a_child_that_dies_is_started_again_and_the_others_stay(family):
    own = family({"first": SLEEPER, "second": SLEEPER})
    own.wait_announced()
    died, stays = own.said("first")["pid"], own.said("second")["pid"]
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: own.said("first")["pid"] != died, 30, "it runs again")
    assert own.said("second")["pid"] == stays
    assert own.stop() == 0
    assert not any(map(runs, own.pids()))


def test_what_a_role_needs_is_loaded_once_and_again_for_nobody(family):
    own = family({"first": SLEEPER, "second": SLEEPER})
    own.wait_announced()
    died = own.said("first")["pid"]
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: own.said("first")["pid"] != died, 30, "it runs again")
    assert {own.said(role)["loaded_by"] for role in ("first", "second")} == {own.process.pid}


def test_a_child_has_nothing_open_but_the_pipe_on_which_it_says_that_it_is_ready(family):
    own = family({"first": SLEEPER, "second": SLEEPER})
    own.wait_announced()
    died = own.said("first")["pid"]
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: own.said("first")["pid"] != died, 30, "it runs again")
    for role in ("first", "second"):
        assert own.said(role)["open"] == ["0", "1", "2", "pipe"]


def test_stopping_ends_within_its_time_even_with_a_child_that_does_not_listen(family):
    own = family({"first": STUBBORN, "second": SLEEPER}, STOP_SECONDS=2.0, _LATER_SECONDS=0.5)
    own.wait_announced()
    assert own.stop() == 0
    assert not any(map(runs, own.pids()))
    assert own.log().count("killed_after_deadline") == 1


def test_a_stop_that_comes_while_children_begin_reaches_every_one_of_them(family):
    own = family({"first": SLEEPER, "second": SLEEPER, "third": SLEEPER}, stop_while_loading="third")
    assert own.process.wait(60) == 0
    assert not any(map(runs, own.pids()))
    assert "killed_after_deadline" not in own.log()


def test_a_child_that_dies_before_it_is_ready_ends_it_all(family):
    own = family({"first": "raise SystemExit(3)", "second": SLEEPER})
    assert own.process.wait(60) == 1
    assert not (own.folder / "announced").exists()
    assert not any(map(runs, own.pids()))


def test_a_child_that_never_becomes_ready_ends_it_all(family):
    own = family({"only": NEVER_READY}, _READY_SECONDS=0.5)
    assert own.process.wait(60) == 1
    assert not (own.folder / "announced").exists()
    assert "not_ready" in own.log()


def test_a_failure_while_announcing_leaves_no_child_behind(family):
    own = family({"only": SLEEPER}, fail_announcing=True)
    assert own.process.wait(60) == 1
    assert "BrokenPipeError" in own.log()
    assert own.pids()
    assert not any(map(runs, own.pids()))


ROLES_LOADED = """
import os, threading
before = sorted(os.listdir("/proc/self/fd"))
from dgis.cli import serve
for role in ("dicom", "web", "worker"):
    serve._runner(role)
assert threading.active_count() == 1, threading.enumerate()
assert sorted(os.listdir("/proc/self/fd")) == before, "something was opened"
if os.fork() == 0:
    os._exit(0)
# Libraries with threads of their own (OpenBLAS) end them before a fork, and begin new ones when needed.
assert len(os.listdir("/proc/self/task")) == 1, "a thread lived on while the process was forked"
os.wait()
"""


def test_loading_the_roles_opens_nothing_and_leaves_no_thread_to_a_fork():
    done = subprocess.run([sys.executable, "-c", ROLES_LOADED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
