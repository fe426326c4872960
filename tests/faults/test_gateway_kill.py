"""kill -9 at each step of receive and publish: nothing acknowledged is lost, nothing is published twice."""

import re

import pytest

from tests.faults import (
    test_commitment_kill,
    test_erasure_kill,
    test_merge_kill,
    test_rebuild_kill,
    test_retention_kill,
)
from tests.gateway import PROJECT
from tests.tools import kill_matrix
from tests.tools.report import show

TIMES = 5
# Points of what the gateway does beside receive and publish; the other files here have them.
ELSEWHERE = {
    "cache.segment_put_away",
    "cache.extent_freed",
    "cache.before_evict_commit",
    "cache.after_evict_commit",
    *test_erasure_kill.SHRED,
    *test_commitment_kill.POINTS,
    *test_merge_kill.POINTS,
    *(point for point, _count in (*test_rebuild_kill.POINTS, *test_retention_kill.POINTS)),
    *test_rebuild_kill.RESTORE,
    test_rebuild_kill.BACKUP,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", kill_matrix.POINTS)
def test_kills_break_no_promise(point, request):
    verdict = kill_matrix.run(point, TIMES)
    show(request, f"{kill_matrix.HEADING}\n{kill_matrix.line(verdict)}")
    assert len(verdict.struck) == TIMES
    assert verdict.acknowledged > 0
    assert verdict.kept, verdict


def test_every_point_in_the_code_is_in_the_matrix():
    text = "".join(path.read_text() for path in (PROJECT / "dgis").rglob("*.py"))
    written = set(re.findall(r'failpoints\.hit\(f?"([a-z_.{}]+)"\)', text))
    named = {point for point in written if "{" not in point}
    made = {point for point in kill_matrix.POINTS if point not in named}
    assert named <= set(kill_matrix.POINTS) | ELSEWHERE
    assert all(
        any(re.fullmatch(re.sub(r"\{[^}]*\}", "[a-z]+", one), point) for one in written) for point in made
    )
    assert len(kill_matrix.POINTS) >= 14
