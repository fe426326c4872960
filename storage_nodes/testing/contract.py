"""What every node must do, as tests: subclass, give a `node` fixture, and pytest runs them.

class TestFolder(NodeContract):
    @pytest.fixture
    def node(self, tmp_path): ...
"""

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage_nodes.body import RemoteBody
from storage_nodes.errors import DigestMismatch, NameTaken, ObjectDamaged, ObjectMissing
from storage_nodes.names import ObjectName
from storage_nodes.node import Buffer, Node
from storage_nodes.testing.memory import MemoryNode

_MILLISECONDS_OF_2020 = 1_577_836_800_000


def some_name(folder: str = "contract") -> ObjectName:
    """Return a name that nobody used before."""
    return ObjectName(f"{folder}/{uuid.uuid4().hex}")


def sha256(data: bytes) -> bytes:
    """Return the digest that a put wants."""
    return hashlib.sha256(data).digest()


class NodeContract:
    """The guarantees of the port, one by one."""

    def test_gives_back_what_was_put(self, node: Node) -> None:
        """Whole, and as any range."""
        name, data = some_name(), bytes(range(256)) * 300
        node.put(name, data, sha256(data))
        assert node.get(name) == data
        for start, length in ((0, 1), (0, len(data)), (len(data) - 1, 1), (255, 2), (1000, 50_000)):
            assert node.get_range(name, start, length) == data[start : start + length]

    @pytest.mark.parametrize("size", [0, 1, 4095, 4096, 1 << 20])
    def test_keeps_objects_of_any_size(self, node: Node, size: int) -> None:
        """The empty one too."""
        name, data = some_name(), bytes(size)
        node.put(name, data, sha256(data))
        assert node.get(name) == data
        assert node.stat(name).size == size

    def test_takes_a_body_in_pieces(self, node: Node) -> None:
        """Of any buffer type, empty ones among them, more than one system call takes."""
        parts: list[Buffer] = [
            b"",
            b"head",
            bytearray(b"er"),
            memoryview(b"wxyz")[1:3],
            *([b"ab"] * 3000),
            b"",
        ]
        whole = b"".join(parts)
        name = some_name()
        node.put(name, parts, sha256(whole))
        assert node.get(name) == whole

    def test_takes_a_body_from_another_node(self, node: Node) -> None:
        """Piece by piece."""
        name, data = some_name(), b"0123456789" * 100
        source = MemoryNode("source")
        source.put(name, data, sha256(data))
        node.put(name, RemoteBody(source, name, len(data), step_bytes=64), sha256(data))
        assert node.get(name) == data

    def test_says_what_it_holds(self, node: Node) -> None:
        """Size, digest if it keeps one, time."""
        name, data = some_name(), b"seven by seven"
        node.put(name, data, sha256(data))
        stat = node.stat(name)
        assert (stat.name, stat.size) == (name, len(data))
        assert stat.sha256 in {None, sha256(data)}
        assert stat.modified_ms > _MILLISECONDS_OF_2020

    def test_putting_equal_bytes_again_is_success(self, node: Node) -> None:
        """And changes nothing."""
        name = some_name()
        for _ in range(3):
            node.put(name, b"same", sha256(b"same"))
        assert node.get(name) == b"same"

    def test_other_bytes_do_not_replace_an_object(self, node: Node) -> None:
        """Not even bytes of the same length."""
        name = some_name()
        node.put(name, b"first", sha256(b"first"))
        with pytest.raises(NameTaken):
            node.put(name, b"later", sha256(b"later"))
        assert node.get(name) == b"first"

    def test_a_body_that_is_not_what_was_announced_stays_invisible(self, node: Node) -> None:
        """A wrong digest leaves nothing under the name, and the right one may come after it."""
        name = some_name()
        with pytest.raises(DigestMismatch):
            node.put(name, b"bytes", sha256(b"other bytes"))
        with pytest.raises(ObjectMissing):
            node.stat(name)
        node.put(name, b"bytes", sha256(b"bytes"))
        assert node.get(name) == b"bytes"

    def test_a_body_that_breaks_off_stays_invisible(self, node: Node) -> None:
        """As when the node it is copied from fails in the middle."""
        name, data = some_name(), bytes(1000)
        source = MemoryNode("source")
        source.put(name, data[:500], sha256(data[:500]))
        with pytest.raises(ObjectDamaged):
            node.put(name, RemoteBody(source, name, len(data), step_bytes=200), sha256(data))
        with pytest.raises(ObjectMissing):
            node.get(name)

    def test_many_may_put_the_same_at_once(self, node: Node) -> None:
        """All succeed, and the object is whole."""
        name, data = some_name(), bytes(range(256)) * 1024
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(node.put, name, data, sha256(data)) for _ in range(8)]:
                done.result()
        assert node.get(name) == data

    def test_of_several_different_puts_one_wins(self, node: Node) -> None:
        """At once where the node declares `conditional_put`, one after the other elsewhere."""
        at_once = 6 if node.capabilities.conditional_put else 1
        name = some_name()
        bodies = [bytes([value]) * 100_000 for value in range(6)]

        def attempt(body: bytes) -> bool:
            try:
                node.put(name, body, sha256(body))
            except NameTaken:
                return False
            return True

        with ThreadPoolExecutor(at_once) as pool:
            won = list(pool.map(attempt, bodies))
        assert won.count(True) == 1
        assert node.get(name) == bodies[won.index(True)]

    def test_what_is_not_there_is_missing(self, node: Node) -> None:
        """Whatever is asked of it."""
        name = some_name()
        for ask in (node.get, node.stat, lambda name: node.get_range(name, 0, 1)):
            with pytest.raises(ObjectMissing):
                ask(name)

    def test_a_range_beyond_the_end_is_never_a_short_answer(self, node: Node) -> None:
        """Partly or wholly beyond."""
        name = some_name()
        node.put(name, b"0123456789", sha256(b"0123456789"))
        for start, length in ((5, 6), (10, 1), (1000, 1), (0, 11)):
            with pytest.raises(ObjectDamaged):
                node.get_range(name, start, length)

    @pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (0, -1)])
    def test_a_range_that_is_none_is_the_callers_mistake(self, node: Node, start: int, length: int) -> None:
        """Whether or not the object is there."""
        with pytest.raises(ValueError, match="range"):
            node.get_range(some_name(), start, length)

    def test_deleting_removes_and_may_be_repeated(self, node: Node) -> None:
        """Also what never was there."""
        name = some_name()
        node.put(name, b"x", sha256(b"x"))
        node.delete(name)
        node.delete(name)
        node.delete(some_name("contract/never/was"))
        with pytest.raises(ObjectMissing):
            node.get(name)
        node.put(name, b"other", sha256(b"other"))
        assert node.get(name) == b"other"

    def test_lists_by_prefix_in_the_order_of_the_names(self, node: Node) -> None:
        """Where a folder walk and a sort by name would differ, too."""
        base = some_name()
        names = [
            ObjectName(f"{base}/{leaf}")
            for leaf in ("a-b", "a.b", "a/b", "a/c/d", "a0", "b", "a/c-d", "ab/z", "b_")
        ]
        for name in names:
            node.put(name, name.encode(), sha256(name.encode()))
        assert [stat.name for stat in node.list(f"{base}/")] == sorted(names)
        assert [stat.name for stat in node.list(f"{base}/a/")] == sorted(
            name for name in names if name.startswith(f"{base}/a/")
        )
        assert [stat.name for stat in node.list(f"{base}/a.")] == [f"{base}/a.b"]
        assert {stat.size for stat in node.list(f"{base}/b")} == {len(base) + 2, len(base) + 3}
        assert list(node.list(f"{base}/nothing")) == []

    def test_lists_without_prefix(self, node: Node) -> None:
        """Everything."""
        name = some_name()
        node.put(name, b"x", sha256(b"x"))
        assert name in {stat.name for stat in node.list()}
