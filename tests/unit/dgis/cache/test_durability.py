"""What reaches the disk before success is answered; kill -9 cannot show it, the page cache survives."""

import os

import pytest

from dgis.cache.layout import SEGMENT_HEADER_BYTES
from dgis.cache.log import ReceiveLog
from dgis.cache.scan import Condition, Stretch, entries
from tests.unit.dgis.cache.harness import SPARSE, body_of, meta, put


class Disk:
    """Stands between the log and the system; knows which bytes would survive a loss of power."""

    def __init__(self, monkeypatch):
        self.events = []
        self.written = {}
        self.durable = {}
        for name in ("pwrite", "fdatasync", "fsync"):
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))
        rename = os.rename
        monkeypatch.setattr(os, "rename", lambda *given: (self.events.append("rename"), rename(*given))[1])

    def _watched(self, name, real):
        def call(descriptor, *given):
            answer = real(descriptor, *given)
            self.events.append(name)
            file = os.fstat(descriptor).st_ino
            if name == "pwrite":
                data, position = given
                image = self.written.setdefault(file, bytearray())
                image.extend(bytes(max(0, position + answer - len(image))))
                image[position : position + answer] = bytes(data[:answer])
            else:
                self.durable[file] = bytes(self.written.get(file, b""))
            return answer

        return call

    def after_power_loss(self, location, path):
        data = self.durable[path.stat().st_ino]
        survivor = path.with_suffix(".lost-power")
        survivor.write_bytes(data)
        with survivor.open("rb") as file:
            stretch = Stretch(location.segment_id, location.epoch, SEGMENT_HEADER_BYTES, len(data))
            return [
                each.location
                for each in entries(file.fileno(), stretch, verify=True)
                if each.condition is Condition.WHOLE
            ]


@pytest.fixture
def log(tmp_path):
    log = ReceiveLog.open(tmp_path, SPARSE)
    yield log
    log.close()


@pytest.mark.parametrize("length", [0, 100, 5000, 1_500_000, 3_000_000])
def test_success_comes_after_the_last_byte_is_synced(log, monkeypatch, length):
    disk = Disk(monkeypatch)
    writer = log.association()
    stored = []
    for number in range(3):
        location = put(writer, meta(f"1.{number}"), body_of(number, length)).location
        assert disk.events[-1] == "fdatasync"
        stored.append(location)
        here = [each for each in stored if each.segment_id == location.segment_id]
        assert disk.after_power_loss(location, log.files.path(location.segment_id)) == here
    writer.finish(released=True)


def test_an_instance_that_was_not_committed_does_not_survive(log, monkeypatch):
    disk = Disk(monkeypatch)
    writer = log.association()
    first = put(writer, meta("1.1"), b"x").location
    entry = writer.begin(meta("1.2"))
    entry.write(body_of(2, 2_500_000))
    path = log.files.path(first.segment_id)
    os.fsync(writer._segment._descriptor)  # the kernel may write anything out at any time
    assert disk.after_power_loss(first, path) == [first]
    writer.finish(released=False)


def test_a_segment_is_durable_under_its_name_before_anything_is_written_into_it(log, monkeypatch):
    disk = Disk(monkeypatch)
    names = []
    real = log.files.create
    monkeypatch.setattr(log.files, "create", lambda: (real(), names.extend(disk.events))[0])
    writer = log.association()
    put(writer, meta("1.1"), b"x")
    writer.finish(released=True)
    assert names[0] == "pwrite"
    assert names[1] == "fsync"  # header
    assert names[-1] == "fsync"  # folder
