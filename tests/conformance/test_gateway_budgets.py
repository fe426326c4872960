"""What the door asks of the kernel for an image, and what it writes for a byte: counted, never timed.

Behind each budget stands what was measured when it was set; the counts hang a little on how often rows are
committed while images come in, hence the room above them. What Python does is counted in
tests/unit/dgis/test_budgets.py.
"""

import pytest

from tests.bench.images import synthetic
from tests.bench.peers import NEVER
from tests.gateway import Gateway
from tests.tools import wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL
from tests.tools.processes import written_bytes
from tests.tools.report import show
from tests.tools.strace import require_strace, system_calls

IMAGES = 200
BYTES = "bytes written for one stored"
BUDGETS = {  # an image: of 35 KB over one association, and of 526 KB
    "PT": {
        "fdatasync": 1.5,  # 1.1: one is the image's own
        "sendto": 1.4,  # 1.1: the response in one piece
        "recvfrom": 2.5,  # 1.2
        "setsockopt": 2.5,  # 1.0: TCP_QUICKACK before each read
        "pwrite64": 10,  # 3.9: rows, by the transaction; the image is one
        "pread64": 10,  # 4.7
        "statfs": 0.3,  # 0.03: once a second
        "openat": 1.8,  # 1.2
        BYTES: 2.0,  # 1.27 to 1.58: its rows
    },
    "CT": {
        "fdatasync": 1.6,  # 1.1
        "sendto": 1.4,  # 1.1
        "recvfrom": 6,  # 2.3: pieces of up to a buffer, never of 4 KiB
        "setsockopt": 6,  # 2.1
        "pwrite64": 14,  # 7.5
        "pread64": 11,  # 7.3
        "statfs": 0.3,  # 0.03: once a second
        "openat": 1.8,  # 1.2
        BYTES: 1.1,  # 1.04
    },
}


@pytest.fixture(scope="module")
def receiving():
    """A gateway that receives and does not publish, its first images behind it."""
    with Gateway(NEVER) as gateway:
        store(gateway, "PT", 20)
        yield gateway


def store(gateway, kind, count):
    """Send a new series of so many images over one association; returns the bytes of its data sets."""
    series = synthetic(kind, count).fresh()
    with Client(gateway.address, HOSPITAL, [(series.images[0].sop_class_uid, [wire.EXPLICIT])]) as client:
        for image in series.images:
            assert client.store(image.sop_class_uid, image.uid, image.syntax, image.dataset) == 0
    return series.size_bytes


@pytest.mark.xdist_group("gateway-budgets")
@pytest.mark.parametrize("kind", BUDGETS)
def test_an_image_costs_few_system_calls_and_little_more_than_its_bytes(receiving, kind, tmp_path, request):
    require_strace()
    pid = receiving.role_pid("dicom")
    before = written_bytes([pid])
    with system_calls(pid, tmp_path) as calls:
        size = store(receiving, kind, IMAGES)
    costs = dict.fromkeys(BUDGETS[kind], 0.0) | {name: count / IMAGES for name, count in calls.items()}
    costs[BYTES] = (written_bytes([pid]) - before) / size
    told = ", ".join(f"{name} {costs[name]:.2f}" for name in BUDGETS[kind])
    show(request, f"an image of {kind} in the door: {told}")
    assert costs["fdatasync"] >= 1, "an image was answered that was not synced"
    over = [name for name, most in BUDGETS[kind].items() if costs[name] > most]
    assert over == [], told
