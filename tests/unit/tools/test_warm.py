import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import PROJECT
from tests.tools import warm

PLAIN = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def run(*arguments, typed="", **settings):
    return warm.run([*arguments], PLAIN | settings, typed, 300)


@pytest.mark.parametrize(
    "arguments",
    [("config", "check", "--bogus"), ("nosuch",), ("config", "check")],
    ids=["usage", "unknown", "fails"],
)
def test_a_command_ends_and_says_as_it_does_in_an_interpreter_of_its_own(tmp_path, arguments):
    settings = {"DGIS__GATEWAY__NOSUCH": "1"}
    own = subprocess.run(
        [sys.executable, "-m", "dgis", *arguments],
        env={**PLAIN, "PYTHONPATH": str(PROJECT), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    done = run(*arguments, **settings)
    assert done.returncode == own.returncode != 0
    assert done.stdout == own.stdout
    assert done.stderr == own.stderr.replace("python -m dgis", "dgis")


def test_a_command_has_the_environment_it_is_given_and_no_other(tmp_path):
    own = run("config", "show", "--home", str(tmp_path), DGIS__GATEWAY__NAME="gateway-of-this-call")
    assert "gateway-of-this-call" in own.stdout
    assert "gateway-of-this-call" not in run("config", "show", "--home", str(tmp_path)).stdout


def test_a_command_reads_what_is_typed(tmp_path):
    where = ("--home", str(tmp_path), "--institution", "Demo Hospital")
    assert run("account", "add", "dr-no", *where, typed="a long passcode\n").returncode == 0
    assert run("account", "add", "dr-yes", *where, typed="").returncode == 1


def test_a_command_that_is_killed_says_by_what(tmp_path):
    reads, writes = os.pipe()  # what it reads has no end
    with Path(os.devnull).open("wb") as nothing:
        files = [reads, nothing.fileno(), nothing.fileno()]
        arguments = ["account", "add", "dr-no", "--institution", "Demo Hospital", "--home", str(tmp_path)]
        running = warm.Running(arguments, PLAIN, files)
    try:
        assert running.poll() is None
        running.send_signal(signal.SIGKILL)
        assert running.wait(60) == -signal.SIGKILL
        assert running.poll() == -signal.SIGKILL
    finally:
        os.close(reads)
        os.close(writes)
