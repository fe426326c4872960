"""Many schedules of all that can happen to copies: nothing acknowledged is lost or served wrong, and when the
faults end every rule holds and nothing dark is left.

`make faults` plays 10,000 (DGIS_TEST_NODE_SCHEDULES), CI fewer; the first seed is DGIS_TEST_SEED.
A failure names its seed: `python -m tests.tools.node_simulation SEED` plays it again and tells every step.
"""

import os

import pytest

from tests.tools.node_simulation import Simulation, new_engine
from tests.tools.report import show

SCHEDULES = int(os.environ.get("DGIS_TEST_NODE_SCHEDULES", "1000"))
FIRST = int(os.environ.get("DGIS_TEST_SEED", "1"))
GROUPS = 4

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_lost_and_everything_heals(group, request):
    engine = new_engine()
    seeds = range(FIRST + group, FIRST + SCHEDULES, GROUPS)
    acknowledged = kills = 0
    for seed in seeds:
        simulation = Simulation(seed, engine)
        try:
            simulation.run()
        except Exception as error:
            raise AssertionError(f"schedule {seed}: python -m tests.tools.node_simulation {seed}") from error
        acknowledged += len(simulation.acknowledged)
        kills += simulation.kills
    engine.dispose()
    show(request, f"{len(seeds)} schedules, {kills} kills, {acknowledged} objects acknowledged, 0 lost")
    assert kills > len(seeds) // 2
    assert acknowledged > len(seeds)
