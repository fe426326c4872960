import subprocess
import sys

import pytest

from dgis import failpoints


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.arm("")


def run(points):
    passages = "[print(n, flush=True) or f.hit('b') for n in range(4)]"
    script = f"from dgis import failpoints as f; f.arm({points!r}); {passages}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_the_counted_passage_kills():
    done = run("a:1, b:3")
    assert done.returncode == -9
    assert done.stdout.split() == ["0", "1", "2"]


@pytest.mark.parametrize("points", ["", "a:1"])
def test_points_that_are_not_armed_do_nothing(points):
    assert run(points).returncode == 0


@pytest.mark.parametrize("points", ["a:0", "a:-1", "a:x", ":1"])
def test_what_is_no_count_is_refused(points):
    with pytest.raises(ValueError, match=r"."):
        failpoints.arm(points)
