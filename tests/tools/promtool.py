"""promtool as the tests call it, and what a rule or a dashboard names."""

import re
import subprocess

from tests.needs import require

_METRIC = re.compile(r"\b(?:dgis|process)_[a-z_]+")
_PARTS = re.compile(r"_(bucket|count|sum)$")


def require_promtool() -> None:
    """Skip the test where promtool is not installed; in CI its absence is a failure."""
    require("promtool", "prometheus")


def promtool(*arguments: object, typed: str = "") -> str:
    """Run promtool; fails with what it printed."""
    require_promtool()
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def named(expression: str) -> set[str]:
    """The metrics that an expression of PromQL names, without what is grouped by or matched."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    return set(_METRIC.findall(bare))


def family(name: str, families: set[str]) -> str:
    """The family of a metric: histograms are named by their parts."""
    return name if name in families else _PARTS.sub("", name)
