"""`dgis demo` as a newcomer runs it."""

import json
import subprocess
import sys

import pytest

from tests.gateway import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway-demo")]

LONGEST_SECONDS = 120  # what docs promise a newcomer: beyond, the demo has failed


def demo(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dgis", "demo", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def test_every_claim_holds(tmp_path):
    home = tmp_path / "home"
    done = demo("--json", "--home", str(home))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"]
    assert len(said["checks"]) > 10
    assert all(check["held"] for check in said["checks"])
    assert (home / "nodes").is_dir()  # kept, because a home was named


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("data")
    done = demo("--home", str(tmp_path))
    assert done.returncode == 1
    assert "new or empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
