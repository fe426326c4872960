import os
import threading

import pytest

from dgis.cache import blocks, locks
from dgis.cache.extent import DamagedError


@pytest.fixture
def two(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(64 << 10))
    descriptors = [os.open(path, os.O_RDWR) for _ in range(2)]
    yield descriptors
    for each in descriptors:
        os.close(each)


def test_readers_share_and_a_holder_is_alone(two):
    one, other = two
    assert locks.share(one, 0, 4096)
    assert locks.share(other, 0, 4096)
    assert not locks.hold(other, 0, 4096)
    locks.release(one, 0, 4096)
    assert locks.hold(other, 0, 4096)
    assert not locks.share(one, 4095, 1)


def test_ranges_that_do_not_touch_do_not_meet(two):
    one, other = two
    assert locks.hold(one, 0, 4096)
    assert locks.hold(other, 4096, 4096)
    assert not locks.hold(other, 0, 0)  # to the end and beyond


def test_locks_are_of_the_descriptor_not_of_the_process_or_thread(two):
    one, other = two
    assert locks.hold(one, 0, 4096)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(locks.hold(other, 0, 4096)))
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_hole_gives_blocks_back_and_reads_as_zeros(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * (256 << 10))
    descriptor = os.open(path, os.O_RDWR)
    if not blocks.punch(descriptor, 4096, 128 << 10):
        os.close(descriptor)
        pytest.skip("this file system punches no holes")
    os.fsync(descriptor)
    assert os.pread(descriptor, 5000, 4000) == b"x" * 96 + bytes(4904)
    assert blocks.allocated_bytes(path) <= (128 << 10) + 8192
    os.close(descriptor)


def test_damaged_bytes_are_told_by_their_digest(house):
    (stored,) = house.store(b"as it was received")
    with house.log.files.path(stored.location.segment_id).open("r+b") as file:
        file.seek(stored.location.position + stored.location.data_offset)
        file.write(b"AS")
    with house.index.open(stored.location) as extent, pytest.raises(DamagedError):
        extent.check()
