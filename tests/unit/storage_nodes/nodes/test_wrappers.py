import threading

import pytest

from storage_nodes.body import RemoteBody
from storage_nodes.errors import (
    DigestMismatch,
    NameTaken,
    NodeFull,
    NodeRefused,
    NodeUnavailable,
    ObjectDamaged,
    ObjectMissing,
)
from storage_nodes.names import ObjectName
from storage_nodes.testing.contract import sha256
from storage_nodes.testing.flaky import FlakyNode
from storage_nodes.testing.memory import MemoryNode
from storage_nodes.wrappers.counting import Counted
from storage_nodes.wrappers.limits import Limited, Limits
from storage_nodes.wrappers.retry import Backoff, Retried, is_worth_retrying
from storage_nodes.wrappers.verify import Proof, Verified, get_verified

NAME = ObjectName("record/object")
BODY = b"the bytes"


@pytest.fixture
def memory():
    node = MemoryNode("node-a")
    node.put(NAME, BODY, sha256(BODY))
    return node


class TestRetry:
    @pytest.fixture
    def waits(self):
        return []

    def wrap(self, flaky, waits, **backoff):
        return Retried(flaky, Backoff(**backoff), waits.append)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda node: node.get(NAME),
            lambda node: node.get_range(NAME, 0, 4),
            lambda node: node.stat(NAME),
            lambda node: node.put(NAME, BODY, sha256(BODY)),
            lambda node: node.delete(NAME),
            lambda node: list(node.list()),
        ],
    )
    def test_asks_again_when_there_was_no_answer(self, memory, waits, ask):
        node = self.wrap(FlakyNode(memory, "*:1=down *:2=down"), waits)
        ask(node)
        assert len(waits) == 2

    def test_gives_up_with_the_nodes_own_error(self, memory, waits):
        flaky = FlakyNode(memory, "get=down")
        with pytest.raises(NodeUnavailable, match="scripted"):
            self.wrap(flaky, waits, attempts=4).get(NAME)
        assert flaky.calls("get") == 4

    @pytest.mark.parametrize("what", ["full", "refused", "missing"])
    def test_does_not_repeat_a_question_that_was_answered(self, memory, waits, what):
        flaky = FlakyNode(memory, f"put={what}")
        with pytest.raises((NodeFull, NodeRefused, ObjectMissing)):
            self.wrap(flaky, waits).put(NAME, BODY, sha256(BODY))
        assert (flaky.calls("put"), waits) == (1, [])

    def test_waits_longer_each_time(self, memory, waits):
        with pytest.raises(NodeUnavailable):
            self.wrap(FlakyNode(memory, "get=down"), waits, attempts=4, first_seconds=1.0).get(NAME)
        for number, wait in enumerate(waits):
            assert 2**number <= wait <= 2**number + 1

    def test_a_listing_that_breaks_off_is_taken_up_where_it_was(self, memory, waits):
        names = [ObjectName(f"record/{number}") for number in range(3)]
        for name in names:
            memory.put(name, b"", sha256(b""))
        flaky = FlakyNode(memory, "list:1=down list:2=down")
        found = [stat.name for stat in self.wrap(flaky, waits).list()]
        assert found == [*names, NAME]
        assert flaky.calls("list") == 3

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            (NodeUnavailable, True),
            (NodeRefused, False),
            (NodeFull, False),
            (NameTaken, False),
            (ObjectMissing, False),
            (ObjectDamaged, False),
            (DigestMismatch, False),
        ],
    )
    def test_which_errors_may_pass(self, kind, expected):
        assert is_worth_retrying(kind("node", "words")) is expected

    def test_a_mistake_in_the_program_is_not_repeated(self):
        assert not is_worth_retrying(ZeroDivisionError())


class TestVerify:
    @pytest.mark.parametrize("what", ["lie", "short", "lost"])
    def test_a_put_that_did_not_keep_what_it_was_given(self, what):
        node = Verified(FlakyNode(MemoryNode(), f"put={what}"), Proof.READ_BACK)
        with pytest.raises((DigestMismatch, ObjectMissing)):
            node.put(NAME, BODY, sha256(BODY))

    def test_what_the_node_states_finds_a_short_copy_without_reading(self):
        inner = Counted(FlakyNode(MemoryNode(), "put=short"))
        with pytest.raises(DigestMismatch):
            Verified(inner).put(NAME, BODY, sha256(BODY))
        assert inner.counts.bytes_got == 0

    def test_never_returns_other_bytes_than_expected(self, memory):
        assert get_verified(memory, NAME, sha256(BODY)) == BODY
        for script in ("get=lie", "get=short"):
            with pytest.raises(DigestMismatch):
                get_verified(FlakyNode(memory, script), NAME, sha256(BODY))


class TestLimits:
    def test_a_call_that_hangs_ends(self, memory):
        flaky = FlakyNode(memory, "get=hang")
        with pytest.raises(NodeUnavailable, match="has not answered"):
            Limited(flaky, Limits(call_seconds=0.05)).get(NAME)
        flaky.release()

    def test_large_bodies_get_more_time(self, memory):
        flaky = FlakyNode(memory, "put=hang")
        limited = Limited(flaky, Limits(call_seconds=0.01, bytes_per_second=1))
        released = threading.Timer(0.3, flaky.release)
        released.start()
        limited.put(ObjectName("record/other"), BODY, sha256(BODY))
        released.join()

    def test_a_node_that_hangs_takes_no_more_than_its_places(self, memory):
        flaky = FlakyNode(memory, "get_range=hang")
        limited = Limited(flaky, Limits(concurrent=2, call_seconds=0.05))
        for _ in range(2):
            with pytest.raises(NodeUnavailable, match="has not answered"):
                limited.get_range(NAME, 0, 1)
        with pytest.raises(NodeUnavailable, match="too many calls"):
            limited.stat(NAME)
        assert flaky.calls("get_range") == 2
        flaky.release()

    def test_places_are_given_back(self, memory):
        limited = Limited(FlakyNode(memory, "get:1=down"), Limits(concurrent=1))
        with pytest.raises(NodeUnavailable):
            limited.get(NAME)
        assert [limited.get(NAME) for _ in range(3)] == [BODY] * 3


class TestCounting:
    def test_counts_calls_and_bytes(self, memory):
        node = Counted(memory)
        node.get(NAME)
        before = node.counts
        node.get_range(NAME, 2, 3)
        node.get_range(NAME, 0, 1)
        node.put(NAME, [BODY[:4], BODY[4:]], sha256(BODY))
        node.stat(NAME)
        since = node.counts - before
        assert since.calls == {"get_range": 2, "put": 1, "stat": 1}
        assert (since.bytes_got, since.bytes_put) == (4, len(BODY))

    def test_what_failed_counts_as_a_call_without_bytes(self, memory):
        node = Counted(memory)
        with pytest.raises(ObjectMissing):
            node.get(ObjectName("record/none"))
        with pytest.raises(NameTaken):
            node.put(NAME, b"other", sha256(b"other"))
        assert node.counts.calls == {"get": 1, "put": 1}
        assert (node.counts.bytes_got, node.counts.bytes_put) == (0, 0)

    def test_a_remote_body_is_not_fetched_to_be_counted(self, memory):
        source = Counted(memory)
        target = Counted(Verified(MemoryNode("node-b")))
        target.put(NAME, RemoteBody(source, NAME, len(BODY)), sha256(BODY))
        assert source.counts.bytes_got == len(BODY)


class TestRemoteBody:
    def test_is_a_sequence_of_ranges(self, memory):
        body = RemoteBody(memory, NAME, len(BODY), step_bytes=4)
        assert len(body) == 3
        assert list(body) == [b"the ", b"byte", b"s"]
        assert body[-1] == b"s"
        assert body[:2] == [b"the ", b"byte"]

    def test_of_nothing(self, memory):
        assert list(RemoteBody(memory, NAME, 0)) == []


class TestFlaky:
    @pytest.mark.parametrize(
        "script", ["put", "put=", "put=tired", "fetch=down", "put:x=down", "put:1-=down"]
    )
    def test_a_fault_that_is_none_is_the_testers_mistake(self, memory, script):
        with pytest.raises(ValueError, match="no fault"):
            FlakyNode(memory, script)

    def test_strikes_when_it_is_told_to(self, memory):
        node = FlakyNode(memory, "get:2=down get:4+=missing")
        outcomes = []
        for _ in range(5):
            try:
                outcomes.append(node.get(NAME))
            except (NodeUnavailable, ObjectMissing) as error:
                outcomes.append(type(error))
        assert outcomes == [BODY, NodeUnavailable, BODY, ObjectMissing, ObjectMissing]
