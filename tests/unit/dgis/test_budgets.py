"""What an instance, a query and a retrieve may cost, counted and never timed.

Calls are of Python functions and of C ones; behind each budget stands what was measured when it was set.
A budget that is passed is a regression, or a decision: raise it together with a reason in the message.
"""

import gc
import sys
import tracemalloc
from dataclasses import replace

import pytest
from sqlalchemy import event

from catalog.find import find
from catalog.query import Key, Level, Query, Root
from dgis.cache.values import StoreMeta
from dgis.demo import kinds
from dgis.dimse.limits import Limits
from tests.tools import wire
from tests.tools.calls import counted
from tests.tools.client import VERIFICATION, Client
from tests.unit.dgis.dimse.fakes import Archive, serving
from tests.unit.dgis.site import CLEARED, phantom

BUDGETS = {
    "calls of the door a C-STORE of 35 KB": 275,  # 239
    "calls of the door a further 128 KiB of a C-STORE": 34,  # 19 to 27, by how much has come when it is read
    "calls of the door a C-ECHO": 142,  # 124
    "calls of the log an instance": 105,  # 91
    "bytes held by the log for an instance of 4 MB": 40_000,  # 12,700: a copy would be millions
    "calls an instance of indexing a batch": 430,  # 375
    "SQL statements of indexing a batch": 22,  # 20, of 256 instances
    "bytes an instance held at most while a batch is indexed": 9_000,  # 7,310
    "bytes an instance kept by caches after it is indexed": 2_000,  # 1,180: pseudonyms, bounded
    "SQL statements of publishing a part": 74,  # 68, of 20 instances
    "calls an instance of publishing": 3_050,  # 2,640
    "SQL statements of a query": 3,  # 3: the beginning, originals, the de-identified
    "calls a match of a query": 60,  # 42.5
}
_PATIENT = Limits(idle_seconds=600)
_KEYS = ("PatientName", "PatientID", "StudyDate", "StudyInstanceUID", "NumberOfStudyRelatedInstances")


def within(name: str, cost: float) -> None:
    assert 0 < cost <= BUDGETS[name], f"{name}: {cost:.1f}, budget {BUDGETS[name]}"


def images(count, start=0):
    """As many images of one series: one phantom under identifiers of its own, cheaper than to draw them."""
    (one,) = phantom(1)
    old = one.sop_instance_uid.encode()
    uids = [f"{one.sop_instance_uid[:-6]}{start + number:06}" for number in range(count)]
    return [
        replace(one, sop_instance_uid=uid, dataset=one.dataset.replace(old, uid.encode())) for uid in uids
    ]


def calls_of_storing(dataset, times):
    """Calls of the threads of a door that takes an instance so many times on one association."""
    (one,) = phantom(1)
    with counted() as count, serving(Archive(), _PATIENT) as port:
        sys.setprofile(None)  # this thread's own
        contexts = [(one.sop_class_uid, [wire.EXPLICIT])]
        with Client(("127.0.0.1", port), "BENCH", contexts) as client:
            for _ in range(times):
                assert client.store(one.sop_class_uid, one.sop_instance_uid, wire.EXPLICIT, dataset) == 0
    return count["calls"]


def an_instance(dataset, few=20, many=120):
    """What one more instance costs: what an association costs by itself falls out of the difference."""
    return (calls_of_storing(dataset, many) - calls_of_storing(dataset, few)) / (many - few)


def test_the_door_does_little_for_an_instance_and_less_for_its_pixels():
    (small,) = phantom(1)
    (large,) = phantom(1, kinds.CT)
    a_small = an_instance(small.dataset)
    within("calls of the door a C-STORE of 35 KB", a_small)
    pieces = (len(large.dataset) - len(small.dataset)) / (128 << 10)
    longer = small.dataset + bytes(len(large.dataset) - len(small.dataset))
    within("calls of the door a further 128 KiB of a C-STORE", (an_instance(longer) - a_small) / pieces)


def test_an_echo_is_short():
    def calls(times):
        with counted() as count, serving(Archive(), _PATIENT) as port:
            sys.setprofile(None)
            with Client(("127.0.0.1", port), "BENCH", [(VERIFICATION, [wire.IMPLICIT])]) as client:
                for _ in range(times):
                    client.echo()
        return count["calls"]

    within("calls of the door a C-ECHO", (calls(120) - calls(20)) / 100)


def _meta(uid):
    return StoreMeta(kinds.PET.sop_class_uid, uid, wire.EXPLICIT, "HOSPITAL", "DGIS", "127.0.0.1", 1)


def test_the_log_holds_no_instance_in_memory(site):
    body = memoryview(bytes(4 << 20))
    with site.log.association() as writer:
        writer.begin(_meta("1.2")).commit()  # its buffer is there from now on
        tracemalloc.start()
        entry = writer.begin(_meta("1.3"))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for at in range(0, len(body), 128 << 10):
            entry.write(body[at : at + (128 << 10)])
        entry.commit()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        within("bytes held by the log for an instance of 4 MB", peak - before + 1)
        body = phantom(1)[0].dataset
        with counted() as count:
            for number in range(100):
                entry = writer.begin(_meta(f"1.4.{number}"))
                entry.write(body)
                entry.commit()
        within("calls of the log an instance", count["calls"] / 100)


@pytest.fixture
def statements(site):
    """The SQL that the site's database is given."""
    seen = []

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        seen.append(statement)

    event.listen(site.engine, "before_cursor_execute", note)
    yield seen
    event.remove(site.engine, "before_cursor_execute", note)


def test_indexing_costs_a_batch_few_statements_and_an_instance_few_calls(site, statements):
    site.receive(images(256))  # statements are compiled, caches are full
    site.receive(images(256, 256), index=False)
    statements.clear()
    with counted() as count:
        site.indexer.run_once()
    within("calls an instance of indexing a batch", count["calls"] / 256)
    within("SQL statements of indexing a batch", len(statements))


def test_indexing_a_batch_holds_little_memory(site):
    site.receive(images(256))
    site.receive(images(256, 256), index=False)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    site.indexer.run_once()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    within("bytes an instance held at most while a batch is indexed", (peak - before) / 256)
    within("bytes an instance kept by caches after it is indexed", max(after - before, 1) / 256)


def test_publishing_costs_a_part_few_statements_and_an_instance_bounded_calls(site, statements):
    site.publish(images(20))
    site.receive(images(20, 100))
    site.plan()
    statements.clear()
    publisher = site.publisher()
    with counted() as count:
        assert publisher.run_once()
    within("SQL statements of publishing a part", len(statements))
    within("calls an instance of publishing", count["calls"] / 20)


def test_a_query_costs_few_statements_and_a_match_few_calls(site, statements):
    series = [each for person in range(3) for each in phantom(1, person=person)]
    site.receive(series)

    def calls(*ids):
        keys = tuple(Key(keyword, ids if keyword == "PatientID" else ()) for keyword in _KEYS)
        query = Query(Root.STUDY, Level.STUDY, keys)
        with site.engine.connect() as connection:
            list(find(connection, query, CLEARED, site.clock()))  # statements are compiled
            statements.clear()
            with counted() as count:
                found = len(list(find(connection, query, CLEARED, site.clock())))
        return found, count["calls"]

    (one, few), (all_, many) = calls("DEMO-7301946"), calls("DEMO-*")
    assert (one, all_) == (1, 3)
    within("SQL statements of a query", len(statements))
    within("calls a match of a query", (many - few) / 2)
