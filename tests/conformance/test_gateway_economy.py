"""What a gateway may use: memory that does not grow with an image, reads that do not grow with a series."""

import threading
import time
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway
from tests.tools import processes, wire
from tests.tools.client import GET, Client, encode, query, query_contexts
from tests.tools.fetching import HOSPITAL, RESEARCH, studies
from tests.tools.report import show

MIB = 1 << 20
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"  # Multi-frame Grayscale Word Secondary Capture (PS3.4 B.5)


@pytest.fixture
def patient_gateway():
    """A gateway that receives and does not publish: what is measured is receiving alone."""
    never = {
        "DGIS__PUBLISH__STABLE_AGE_SECONDS": "3600",
        "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "3600",
    }
    with Gateway(never) as gateway:
        yield gateway


class Watch(threading.Thread):
    """Samples the memory of a gateway's processes until stopped; `peak_bytes` is the highest sum seen."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self._pids, self._stopped = gateway.pids(), threading.Event()
        self.samples, self.peak_bytes = 0, 0

    def run(self) -> None:
        while not self._stopped.wait(0.02):
            self.peak_bytes = max(self.peak_bytes, processes.pss_bytes(self._pids))
            self.samples += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join(10)


def multi_frame(frames: int) -> tuple[str, Iterator[bytes]]:
    """A word-grayscale multi-frame image of `frames` MiB, made while it is sent."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MULTI_FRAME, "2.25.90210"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.90211", "2.25.90212"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Big^Image", "BIG-1", "OT"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 1024, 512, frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    header = encode(dataset, wire.EXPLICIT)
    element = b"\xe0\x7f\x10\x00OW\0\0" + (frames * MIB).to_bytes(4, "little")

    def parts() -> Iterator[bytes]:
        yield header + element
        frame = bytes(range(256)) * (MIB // 256)
        for _ in range(frames):
            yield frame

    return str(dataset.SOPInstanceUID), parts()


@pytest.mark.slow
@pytest.mark.xdist_group("gateway-memory")
def test_a_gigabyte_comes_in_without_being_held_in_memory(patient_gateway, request):
    gateway = patient_gateway
    idle = processes.pss_bytes(gateway.pids())
    watch = Watch(gateway)
    watch.start()
    uid, parts = multi_frame(1024)
    started = time.monotonic()
    with Client(gateway.address, HOSPITAL, [(MULTI_FRAME, [wire.EXPLICIT])], timeout_seconds=120) as client:
        status = client.store(MULTI_FRAME, uid, wire.EXPLICIT, parts)
    seconds = time.monotonic() - started
    watch.stop()
    grown = watch.peak_bytes - idle
    said = f"1 GiB received in {seconds:.1f} s, {grown / MIB:.0f} MiB above idle ({idle / MIB:.0f} MiB)"
    show(request, said)
    assert status == 0
    assert watch.samples > 10
    assert grown < 200 * 1000 * 1000


@pytest.mark.slow
@pytest.mark.xdist_group("gateway-ranges")
@pytest.mark.parametrize("caller", [HOSPITAL, RESEARCH])
def test_one_image_of_a_large_series_costs_one_small_read(series_of_100_mb, caller, request):
    gateway, instances = series_of_100_mb
    study, series, images = _first_series(gateway, caller, len(instances))
    pids = gateway.pids()
    contexts = [*query_contexts(GET)[1:], (kinds.CT.sop_class_uid, [wire.EXPLICIT])]
    with Client(gateway.address, caller, contexts, provider_of=[kinds.CT.sop_class_uid]) as client:
        before = processes.read_bytes(pids)
        outcome = client.get(
            query("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=images[77])
        )
        used = processes.read_bytes(pids) - before
    show(request, f"one image of {len(images)} as {caller}: {used / 1000:.0f} kB read by all processes")
    assert outcome.status == 0
    assert [one.sop_instance_uid for one in outcome.received] == [images[77]]
    if caller == HOSPITAL:
        sent = {instance.sop_instance_uid: instance.dataset for instance in instances}
        assert outcome.received[0].dataset == sent[images[77]]
    assert 0 < used < 1000 * 1000


@pytest.fixture(scope="module")
def series_of_100_mb():
    """Two hundred CT images published, and nothing left in the cache."""
    instances = list(phantoms.series(kinds.CT, PEOPLE[0], 200))
    assert sum(len(instance.dataset) for instance in instances) > 100 * 1000 * 1000
    with Gateway() as gateway:
        with Client(gateway.address, HOSPITAL, [(kinds.CT.sop_class_uid, [wire.EXPLICIT])]) as client:
            for one in instances:
                status = client.store(
                    one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset
                )
                assert status == 0
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        yield gateway, instances


def _first_series(gateway: Gateway, caller: str, count: int) -> tuple[str, str, list[str]]:
    (study,) = studies(gateway.address, caller)
    with Client(gateway.address, caller, query_contexts("1")) as client:
        (found,) = client.find(query("SERIES", StudyInstanceUID=study, SeriesInstanceUID="")).identifiers
        series = str(found.SeriesInstanceUID)
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": ""}
        images = [str(one.SOPInstanceUID) for one in client.find(query("IMAGE", **keys)).identifiers]
    assert len(images) == count
    return study, series, images
