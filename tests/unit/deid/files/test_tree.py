import os
import socket

import pytest

from deid.files import LeftOut, Tree
from deid.files.tree import read_file, sop_instance_uid
from tests.unit.deid.engine.build import INSTANCE, dataset, el
from tests.unit.deid.files.build import DEFLATED, deflated, native, part10, published_kinds, withheld_kinds


def paths(root):
    return [found.path for found in Tree(root).walk()]


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    for name in ("b/2", "b/1", "a/x/1", "a/z", "top", "Z"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"file")
    return root


def test_one_order_a_folders_files_before_those_below(tree):
    assert paths(tree) == ["Z", "top", "a/z", "a/x/1", "b/1", "b/2"]


def test_a_single_file(tree):
    single = Tree(tree / "a" / "z")
    assert [found.path for found in single.walk()] == ["z"]
    assert single.place("z") == tree / "a" / "z"


def test_names_that_are_no_text_are_taken_as_they_are(tree):
    name = os.fsdecode(b"M\xfcller")
    (tree / name).write_bytes(b"")
    assert name in paths(tree)
    assert Tree(tree).place(name).exists()


def test_a_link_is_followed_to_a_file_inside_and_nowhere_else(tree, tmp_path):
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "folder").mkdir()
    (tree / "in").symlink_to(tree / "a" / "z")
    (tree / "out").symlink_to(tmp_path / "outside")
    (tree / "up").symlink_to(tmp_path / "folder")
    (tree / "loop").symlink_to(tree)
    (tree / "gone").symlink_to(tree / "nothing")
    told = {found.path: found.left_out for found in Tree(tree).walk()}
    assert told["in"] is None
    assert {told[name] for name in ("out", "up", "loop", "gone")} == {LeftOut.LINK}
    assert len(told) == 11


def test_what_is_no_file_is_not_opened(tree):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tree / "socket"))
        told = {found.path: found.left_out for found in Tree(tree).walk()}
    assert told["pipe"] is told["socket"] is LeftOut.SPECIAL


@pytest.mark.parametrize("kind", published_kinds())
def test_the_uid_is_the_one_the_deidentifier_reads(tmp_path, kind):
    (tmp_path / "file").write_bytes(published_kinds()[kind])
    assert sop_instance_uid(tmp_path / "file") == INSTANCE


def test_a_uid_far_behind_the_beginning_is_found(tmp_path):
    far = el(0x00080008, "CS", "A" * 20_000)
    (tmp_path / "file").write_bytes(part10(dataset(far)))
    assert sop_instance_uid(tmp_path / "file") == INSTANCE


@pytest.mark.parametrize("kind", withheld_kinds())
def test_damage_is_no_error(tmp_path, kind):
    (tmp_path / "file").write_bytes(withheld_kinds()[kind])
    assert isinstance(sop_instance_uid(tmp_path / "file"), str)


def test_a_damaged_deflate_stream_has_no_uid(tmp_path):
    (tmp_path / "file").write_bytes(part10(deflated(native())[:20], DEFLATED))
    assert sop_instance_uid(tmp_path / "file") == ""


def test_a_large_file_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr("deid.files.tree._READ_WHOLE_BYTES", 10)
    (tmp_path / "file").write_bytes(b"more than ten bytes")
    mapped = read_file(tmp_path / "file")
    assert not isinstance(mapped, bytes)
    assert mapped[:] == b"more than ten bytes"
