import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from storage_nodes.errors import (
    NameTaken,
    NodeFull,
    NodeRefused,
    NodeUnavailable,
    ObjectDamaged,
    ObjectMissing,
)
from storage_nodes.folder import INCOMING, FolderNode
from storage_nodes.names import ObjectName
from storage_nodes.testing.contract import sha256

NAME = ObjectName("record/ab/object")
BODY = b"the bytes"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "node"


@pytest.fixture
def node(root):
    node = FolderNode("node-a", "east", root)
    node.prepare()
    return node


def leftovers(root):
    return sorted(path.name for path in (root / INCOMING).iterdir())


def put(node, name=NAME, body=BODY):
    node.put(name, body, sha256(body))


def fail_with(number):
    def failing(*_args, **_kwargs):
        raise OSError(number, os.strerror(number), "/a/path/that/nobody/should/read")

    return failing


def test_an_object_is_a_file_of_its_own_bytes_and_nothing_lies_beside_it(node, root):
    put(node)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert files == [root / "record" / "ab" / "object"]
    assert files[0].read_bytes() == BODY
    assert files[0].stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, NodeFull),
        (errno.EDQUOT, NodeFull),
        (errno.EROFS, NodeFull),
        (errno.EIO, NodeUnavailable),
        (errno.ESTALE, NodeUnavailable),
        (errno.EACCES, NodeRefused),
    ],
)
@pytest.mark.parametrize("call", ["writev", "fsync", "link"])
def test_a_put_that_fails_leaves_nothing_and_says_why(root, monkeypatch, number, error, call):
    node = FolderNode("node-a", "east", root)
    node.prepare()
    put(node, ObjectName("record/ab/other"))
    monkeypatch.setattr(os, call, fail_with(number))
    with pytest.raises(error) as caught:
        put(node)
    assert "path" not in str(caught.value)
    monkeypatch.undo()
    assert leftovers(root) == []
    with pytest.raises(ObjectMissing):
        node.get(NAME)
    put(node)
    assert node.get(NAME) == BODY


def test_a_sector_that_cannot_be_read_is_the_objects_damage_not_the_nodes(node, monkeypatch):
    put(node)
    monkeypatch.setattr(os, "pread", fail_with(errno.EIO))
    for ask in (node.get, lambda name: node.get_range(name, 0, 3)):
        with pytest.raises(ObjectDamaged):
            ask(NAME)


def test_an_unreadable_object_is_in_the_way_of_a_put(node, monkeypatch):
    put(node)
    monkeypatch.setattr(os, "preadv", fail_with(errno.EIO))
    with pytest.raises(NameTaken):
        put(node)


def test_rot_is_in_the_way_of_a_put(node, root):
    put(node)
    (root / NAME).write_bytes(b"the bytez")
    with pytest.raises(NameTaken):
        put(node)


def test_a_file_that_was_cut_is_damaged(node, root):
    put(node)
    os.truncate(root / NAME, 4)
    with pytest.raises(ObjectDamaged):
        node.get_range(NAME, 2, 5)


def test_a_missing_root_is_a_disk_that_is_not_mounted(node, root):
    put(node)
    root.rename(root.with_name("away"))
    asks = (
        node.get,
        node.stat,
        node.delete,
        put_as(node),
        lambda _: list(node.list()),
        lambda _: node.clean_leftovers(0),
    )
    for ask in asks:
        with pytest.raises(NodeUnavailable):
            ask(NAME)
    assert not root.exists()
    root.with_name("away").rename(root)
    assert node.get(NAME) == BODY


def put_as(node):
    return lambda name: put(node, name)


def test_an_empty_folder_is_an_empty_node(root):
    root.mkdir()
    node = FolderNode("node-a", "east", root)
    assert list(node.list()) == []
    put(node)
    assert node.get(NAME) == BODY


@pytest.mark.parametrize("what", ["leaf", "folder"])
def test_a_symbolic_link_does_not_lead_out_of_the_node(node, root, tmp_path, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "object").write_bytes(b"private")
    (root / "record").mkdir()
    if what == "folder":
        (root / "record" / "ab").symlink_to(outside)
    else:
        (root / "record" / "ab").mkdir()
        (root / "record" / "ab" / "object").symlink_to(outside / "object")
    for ask in (node.get, node.stat, put_as(node)):
        with pytest.raises((NodeRefused, ObjectMissing)):
            ask(NAME)
    assert list(node.list()) == []
    node.delete(NAME)
    assert (outside / "object").read_bytes() == b"private"


def test_a_pipe_in_the_place_of_an_object_blocks_nobody(node, root):
    (root / "record" / "ab").mkdir(parents=True)
    os.mkfifo(root / NAME)
    with pytest.raises(ObjectMissing):
        node.get(NAME)
    with pytest.raises(NameTaken):
        put(node)


def test_what_is_no_object_is_not_listed(node, root):
    put(node)
    (root / "Upper Case.txt").write_text("x")
    (root / "record" / ".hidden").write_text("x")
    (root / INCOMING).mkdir(exist_ok=True)
    (root / INCOMING / "half").write_text("x")
    assert [stat.name for stat in node.list()] == [NAME]


def test_without_hard_links_a_put_is_exclusive_all_the_same(node, monkeypatch):
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    put(node)
    put(node)
    with pytest.raises(NameTaken):
        put(node, body=b"others")
    assert node.get(NAME) == BODY


def test_an_object_that_vanishes_while_it_is_put_is_not_reported_as_put(node, monkeypatch):
    def taken(*_args, **_kwargs):
        raise FileExistsError

    monkeypatch.setattr(os, "link", taken)
    with pytest.raises(NodeUnavailable):
        put(node)


def test_leftovers_are_removed_by_age(node, root):
    put(node)
    old, young = root / INCOMING / "old", root / INCOMING / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    a_day_ago = time.time() - 86_400
    os.utime(old, (a_day_ago, a_day_ago))
    assert node.clean_leftovers(3600) == 1
    assert leftovers(root) == ["young"]
    assert node.get(NAME) == BODY


def test_leftovers_of_a_node_that_never_took_anything(node):
    assert node.clean_leftovers(0) == 0


_PUT = """
import sys
from pathlib import Path
from storage_nodes.folder import FolderNode
from storage_nodes.names import ObjectName
from storage_nodes.testing.contract import sha256
node = FolderNode("node-a", "east", Path(sys.argv[1]))
"""


def start(root, program):
    return subprocess.Popen(
        [sys.executable, "-c", _PUT + program, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_several_processes_may_put_the_same_at_once(node, root):
    program = """
body = bytes(range(256)) * 40_000
print("ready", flush=True)
sys.stdin.readline()
node.put(ObjectName("record/ab/object"), body, sha256(body))
"""
    processes = [start(root, program) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert node.get(NAME) == bytes(range(256)) * 40_000
    assert leftovers(root) == []


def test_a_process_killed_in_the_middle_leaves_nothing_visible(node, root):
    program = """
class Half(list):
    def __iter__(self):
        yield bytes(20 << 20)
        print("half", flush=True)
        sys.stdin.readline()
node.put(ObjectName("record/ab/object"), Half(), bytes(32))
"""
    process = start(root, program)
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert list(node.list()) == []
    assert len(leftovers(root)) == 1
    assert node.clean_leftovers(0) == 1
    put(node)
    assert node.get(NAME) == BODY
