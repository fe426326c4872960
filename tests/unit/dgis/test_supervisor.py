import os
import signal
import sys
import threading

import pytest

from dgis import supervisor
from dgis.supervisor import Supervisor
from tests.gateway import wait_until

READY = "import os, time; from dgis import settings, supervisor; from pathlib import Path\n"
READY += "supervisor.say_ready(settings.ready_descriptor(), {{}}, Path({folder!r}), {role!r})\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a supervisor over scripts in a thread; gives its children, and what ends it."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    begun = []

    def start(*bodies):
        own = Supervisor([f"role{number}" for number in range(len(bodies))], [])
        for child, body in zip(own._children, bodies, strict=True):
            said = READY.format(folder=str(tmp_path), role=child.role)
            child.command = [sys.executable, "-c", body.replace("READY", said)]
        ready, codes = threading.Event(), []
        thread = threading.Thread(target=lambda: codes.append(own.run(lambda _listens: ready.set())))
        thread.start()

        def stop():
            own._stopping.set()
            thread.join(30)
            return codes[0]

        begun.append(stop)
        return own._children, ready, thread, stop

    yield start
    for stop in begun:
        stop()


SLEEPER = "READY\ntime.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER


def test_a_child_that_dies_is_started_again_and_the_others_stay(run):
    (first, second), ready, _thread, stop = run(SLEEPER, SLEEPER)
    assert ready.wait(60)
    died, stays = first.process.pid, second.process.pid
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: first.process is not None and first.process.pid != died, 30, "it runs again")
    assert second.process.pid == stays
    assert stop() == 0
    assert first.process.poll() is not None
    assert second.process.poll() is not None


def test_stopping_ends_within_its_time_even_with_a_child_that_does_not_listen(run, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 2.0)
    monkeypatch.setattr(supervisor, "_LATER_SECONDS", 0.5)
    (first, second), ready, _thread, stop = run(STUBBORN, SLEEPER)
    assert ready.wait(60)
    assert stop() == 0
    assert first.process.returncode == -signal.SIGKILL
    assert second.process.returncode == -signal.SIGTERM


def test_a_child_that_dies_before_it_is_ready_ends_it_all(run):
    (_first, second), ready, thread, stop = run("raise SystemExit(3)", "import time; time.sleep(600)")
    thread.join(60)
    assert not ready.is_set()
    assert stop() == 1
    assert second.process.poll() is not None


def test_a_child_that_never_becomes_ready_ends_it_all(run, monkeypatch):
    monkeypatch.setattr(supervisor, "_READY_SECONDS", 0.5)
    (child,), ready, _thread, stop = run("import time; time.sleep(600)")
    wait_until(lambda: child.process is not None and child.process.poll() is not None, 30, "it is stopped")
    assert not ready.is_set()
    assert stop() == 1


def test_a_failure_while_announcing_leaves_no_child_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    own = Supervisor(["only"], [])
    said = READY.format(folder=str(tmp_path), role="only")
    own._children[0].command = [sys.executable, "-c", SLEEPER.replace("READY", said)]

    def fail(_listens):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        own.run(fail)
    assert own._children[0].process.poll() is not None
