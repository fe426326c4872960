import hashlib
import os
import threading

import pytest

from dgis.cache.layout import BLOCK, SEGMENT_HEADER_BYTES
from dgis.cache.log import Limits
from dgis.cache.values import RefusalReason, Refused, Stored
from tests.unit.dgis.cache.harness import House, body_of, descriptors, locations, meta, put


@pytest.mark.parametrize("length", [0, 1, 3500, 4096, 10_000, (1 << 20) - 500, 1 << 20, 3_000_001])
def test_bytes_of_any_length_come_back(house, length):
    body = body_of(length, length)
    (stored,) = house.store(body)
    assert house.bytes_at(stored.location) == body
    assert stored.location.sha256 == hashlib.sha256(body).digest()
    assert stored.location.position % BLOCK == stored.location.span % BLOCK == 0


def test_a_view_shows_the_same_bytes(house):
    body = body_of(1, 300_000)
    (stored,) = house.store(body)
    with house.index.open(stored.location) as extent:
        view = extent.view()
        assert bytes(view) == body
        assert b"".join(extent.chunks(1000)) == body
        view.release()


def test_the_meta_stands_beside_the_bytes(house):
    (stored,) = house.store(b"x", uid="1.2.9", series="7")
    with house.index.open(stored.location) as extent:
        read = extent.meta()
    assert (read.sop_instance_uid, read.series_uid, read.calling_ae) == ("1.2.9", "7", "SENDER")
    assert read.assertions == {"user": "pacs"}
    assert read.association


def test_nothing_of_an_abandoned_instance_is_kept(house):
    writer = house.log.association()
    entry = writer.begin(house.meta("1.2.4"))
    entry.write(body_of(4, 2_000_000))
    entry.abandon()
    after = put(writer, house.meta("1.2.5"), b"kept")
    writer.finish(released=True)
    house.restart()
    house.drain()
    assert after.location.position == SEGMENT_HEADER_BYTES
    assert house.read("1.2.4") == []
    assert house.read("1.2.5") == [b"kept"]


def test_an_association_that_ends_in_the_middle_leaves_its_segment_usable(house):
    writer = house.log.association()
    writer.begin(house.meta("1.2.4")).write(b"half")
    writer.finish(released=False)
    (stored,) = house.store(b"whole", uid="1.2.5")
    assert house.bytes_at(stored.location) == b"whole"


def test_an_association_writes_one_instance_at_a_time(house):
    writer = house.log.association()
    writer.begin(house.meta())
    with pytest.raises(RuntimeError):
        writer.begin(house.meta())
    writer.finish(released=False)


def test_an_entry_commits_once(house):
    writer = house.log.association()
    entry = writer.begin(house.meta())
    entry.commit()
    with pytest.raises(RuntimeError):
        entry.commit()
    writer.finish(released=True)


def test_later_associations_go_on_in_the_same_segment_until_it_is_full(house):
    first, second = (house.store(body_of(n), uid=f"1.{n}")[0].location for n in range(2))
    assert first.segment_id == second.segment_id
    assert second.position == first.end
    house.store(body_of(9, 1 << 20), uid="1.9")
    (third,) = locations(house.store(b"x", uid="1.10"))
    assert third.segment_id != first.segment_id


def test_two_associations_never_share_a_segment_at_once(house):
    one, two = house.log.association(), house.log.association()
    places = {put(each, house.meta(str(n)), b"x").location.segment_id for n, each in enumerate((one, two))}
    one.finish(released=True)
    two.finish(released=True)
    assert len(places) == 2


def test_many_writers_lose_nothing(house):
    written = {}

    def send(number):
        writer = house.log.association()
        for count in range(20):
            uid = f"1.{number}.{count}"
            body = body_of(uid, 3000 + 517 * count)
            assert isinstance(put(writer, meta(uid), body), Stored)
            written[uid] = body
        writer.finish(released=True)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.drain()
    assert len(written) == 120
    assert all(house.read(uid) == [body] for uid, body in written.items())


def test_files_are_closed_again(house):
    house.store(b"warm", uid="1.1")
    before = descriptors()
    for number in range(5):
        house.store(body_of(number, 1 << 20), uid=f"1.2.{number}")
        house.drain()
    house.log.close()
    assert descriptors() <= before


def test_a_sealed_segment_takes_no_more_disk_than_its_entries(house):
    (location,) = locations(house.store(body_of(1, 500_000)))
    house.log.close()
    path = house.log.files.path(location.segment_id)
    assert path.stat().st_size == location.end
    assert house.log.files.allocated_bytes(location.segment_id) <= location.end + BLOCK


def test_after_close_instances_are_refused(house):
    house.log.close()
    assert house.log.association().begin(house.meta()) == Refused(RefusalReason.STOPPING)


def test_a_full_cache_refuses_and_recovers_when_room_is_made(tmp_path):
    house = House(tmp_path, Limits(max_bytes=3 << 20, free_floor_bytes=0, segment_bytes=1 << 20))
    answers = [house.store(body_of(n, 900_000), uid=f"1.{n}")[0] for n in range(5)]
    refused = [each for each in answers if isinstance(each, Refused)]
    assert refused
    assert {each.reason for each in refused} == {RefusalReason.CACHE_FULL}
    assert {each.status for each in refused} == {0xA700}
    house.drain()
    assert house.evictor.evict().bytes == 0  # nothing is published yet
    house.publish()
    assert house.evictor.evict().bytes > 0
    assert isinstance(house.store(body_of(9, 900_000), uid="1.9")[0], Stored)
    house.close()


def test_the_disk_is_left_its_floor(tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    house = House(tmp_path, Limits(max_bytes=1 << 40, free_floor_bytes=free * 2, segment_bytes=1 << 20))
    assert house.log.association().begin(house.meta()) == Refused(RefusalReason.NO_SPACE)
    assert house.log.files.ids() == []
    house.close()


def test_a_refused_instance_gives_its_blocks_back_and_the_next_one_fits(tmp_path):
    house = House(tmp_path, Limits(max_bytes=4 << 20, free_floor_bytes=0, segment_bytes=64 << 20))
    writer = house.log.association()
    entry = writer.begin(house.meta("1.1"))
    answers = [entry.write(body_of(n, 1 << 20)) for n in range(6)]
    assert answers[0] is None
    assert answers[-1] == Refused(RefusalReason.CACHE_FULL)
    assert entry.commit() == answers[-1]
    house.log.space.forget()
    assert isinstance(put(writer, house.meta("1.2"), b"small"), Stored)
    writer.finish(released=True)
    house.close()


def test_a_home_that_cannot_be_written_says_so_at_once(tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="cache"):
        House(tmp_path)


def test_a_disk_that_fails_to_sync_is_refused_and_its_segment_left(house, monkeypatch):
    writer = house.log.association()
    kept = put(writer, house.meta("1.1"), b"kept")

    def fail(_descriptor):
        raise OSError(5, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        lost = put(writer, house.meta("1.2"), b"lost")
    after = put(writer, house.meta("1.3"), b"after")
    writer.finish(released=True)
    assert lost == Refused(RefusalReason.STORAGE_FAILED)
    assert after.location.segment_id != kept.location.segment_id
    house.drain()
    assert (house.read("1.1"), house.read("1.2"), house.read("1.3")) == ([b"kept"], [], [b"after"])


def test_values_do_not_show_identifiers():
    assert "1.2.3.99" not in repr(meta("1.2.3.99", "55.66"))
    assert "55.66" not in repr(meta("1.2.3.99", "55.66"))
