import threading

from dgis.accounting import Accounts, counts, door_count
from dgis.chores import door
from dgis.trail.recorder import Recorder
from dgis.worker import Chore, Worker


def test_a_chore_that_fails_stops_neither_the_others_nor_itself():
    failed, done = threading.Semaphore(0), threading.Semaphore(0)

    def fail():
        failed.release()
        raise RuntimeError("again and again")

    worker = Worker([Chore("bad", 0.01, fail), Chore("good", 0.01, lambda: bool(done.release()))])
    worker.start()
    try:
        assert all(failed.acquire(timeout=30) for _ in range(2))
        assert all(done.acquire(timeout=30) for _ in range(2))
    finally:
        worker.stop()


def test_a_chore_with_more_to_do_goes_on_at_once_and_stops_when_told():
    begun = threading.Event()
    worker = Worker([Chore("busy", 0.01, lambda: begun.set() or True)])
    worker.start()
    assert begun.wait(30)
    worker.stop()


def test_what_the_door_counted_is_added_up(site):
    accounts = Accounts(site.engine, "gateway-1")
    for _ in range(3):
        accounts.add("store_refused", "0xA700")
    accounts.write()
    accounts.add("store_refused", "0xA700")
    accounts.add("association_ended", "released")
    accounts.write()
    accounts.write()
    with site.engine.connect() as connection:
        assert counts(connection, "gateway-1") == {
            "association_ended": {"released": 1},
            "store_refused": {"0xA700": 4},
        }
        assert counts(connection, "another") == {}


def test_counts_outlive_a_database_that_is_away(site):
    accounts = Accounts(site.engine, "gateway-1")
    accounts.add("store_refused", "0xA700")
    with site.engine.begin() as connection:
        door_count.drop(connection)
    accounts.write()
    with site.engine.begin() as connection:
        door_count.create(connection)
    accounts.write()
    with site.engine.connect() as connection:
        assert counts(connection, "gateway-1") == {"store_refused": {"0xA700": 1}}


def test_the_door_writes_down_what_was_read(site):
    accounts, recorder = Accounts(site.engine, "g"), Recorder(site.engine, "g/dicom", site.clock)
    noting = {chore.name: chore for chore in door.noting(site.engine, accounts, recorder, site.index)}
    site.index.used(1, 5)
    assert [noting[name].run_once() for name in ("used", "accounts", "trail")] == [False] * 3
