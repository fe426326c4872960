"""kill -9 while a reviewer's decision is carried out: it is carried out all the same, and once."""

import numpy as np
import pytest

from tests.gateway import Gateway, wait_until
from tests.tools import burned_in, wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, RESEARCH, get_everything
from tests.tools.files import parse

POINTS = (
    "publish.claimed",
    "publish.keyed",
    "publish.packed",
    "publish.sealed_put",
    "publish.record_put",
    "publish.placed",
    "publish.before_commit",
    "publish.after_commit",
)
PAIRS = [(burned_in.US_MULTIFRAME, wire.EXPLICIT)]
X, Y, WIDTH, HEIGHT = burned_in.TEXT
_STRUCK_SECONDS = 60


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_decision_survives_a_kill(point):
    images = burned_in.series(2, frames=2)
    with Gateway({"DGIS__PUBLISH__LEASE_SECONDS": "2"}) as gateway:
        with Client(
            gateway.address, HOSPITAL, [(abstract, [syntax]) for abstract, syntax in PAIRS]
        ) as client:
            for one in images:
                client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        gateway.kill()

        gateway.start(f"{point}:1")
        worker = gateway.role_pid("worker")
        (first, second) = gateway.json("review", "list")
        rectangle = f"{X},{Y},{WIDTH}x{HEIGHT}"
        gateway.cli("review", "blank", first["instance"], "--rectangle", rectangle, "--by", "reviewer")
        wait_until(lambda: worker not in gateway.pids(), _STRUCK_SECONDS, "the worker is killed")
        gateway.restart()
        gateway.wait_published()

        assert [row["instance"] for row in gateway.json("review", "list", "--all")] == [second["instance"]]
        (released,) = get_everything(gateway.address, RESEARCH, PAIRS)
        pixels = np.frombuffer(parse(released.dataset, wire.EXPLICIT).PixelData, np.uint8)
        blanked = [one.pixels.copy() for one in images]
        for each in blanked:
            each[:, Y : Y + HEIGHT, X : X + WIDTH] = 0
        assert pixels.tobytes() in [each.tobytes() for each in blanked]
        originals = get_everything(gateway.address, HOSPITAL, PAIRS)
        sent = {one.sop_instance_uid: one.dataset for one in images}
        assert {one.sop_instance_uid: one.dataset for one in originals} == sent
        assert len(originals) == 2
        written = gateway.json("review", "log")
        assert (len(written["decisions"]), written["broken_at"]) == (1, None)
