"""Tests of one group run in one process: what a module starts for them is started once."""

import pytest

_GROUP = "one-process"


@pytest.mark.xdist_group(_GROUP)
def test_a_group_is_seen_by_the_scheduler(request):
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process runs everything: `pytest -n 2 --dist loadgroup` spreads tests")
    assert request.node.nodeid.endswith(f"@{_GROUP}")
