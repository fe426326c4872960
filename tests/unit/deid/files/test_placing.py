import errno
import os
from pathlib import Path

import pytest

from deid.files import Occupied
from deid.files.placing import UNFINISHED, Shelf, holds, same_files, writing_alone


@pytest.fixture
def shelf(tmp_path):
    with writing_alone(tmp_path / "out", 0o777):
        yield Shelf(tmp_path / "out")


def put(shelf, place, *pieces):
    file = shelf.write(pieces)
    shelf.sync([file])
    named = shelf.name(file, place)
    shelf.settle()
    return named


def test_a_file_is_there_whole_under_its_name(shelf):
    assert put(shelf, "a/b/c", b"one", b"", memoryview(b"two"))
    assert (shelf.folder / "a/b/c").read_bytes() == b"onetwo"
    assert not list((shelf.folder / UNFINISHED).iterdir())


def test_nothing_is_ever_replaced(shelf):
    assert put(shelf, "a", b"first")
    assert not put(shelf, "a", b"second")
    assert (shelf.folder / "a").read_bytes() == b"first"


def test_a_file_system_without_links_is_no_hindrance(shelf, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    assert put(shelf, "a", b"first")
    assert not put(shelf, "a", b"second")
    assert (shelf.folder / "a").read_bytes() == b"first"


def test_other_errors_are_errors(shelf, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="full"):
        put(shelf, "a", b"x")


def test_contents_are_synced_before_the_name_and_names_after(shelf, monkeypatch):
    events = []
    fsync, link = os.fsync, os.link

    def synced(descriptor):
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def linked(source, target):
        events.append(("name", os.fspath(target).rpartition("/")[2]))
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    file = shelf.write([b"x"])
    shelf.sync([file])
    shelf.name(file, "new/deep/file")
    shelf.settle()
    assert events[:2] == [("sync", file.name), ("name", "file")]
    assert sorted(events[2:]) == [("sync", "deep"), ("sync", "new"), ("sync", "out")]


def test_one_run_at_a_time(tmp_path):
    with writing_alone(tmp_path / "out", 0o777):
        with pytest.raises(Occupied), writing_alone(tmp_path / "out", 0o777):
            pytest.fail("two at once")
        assert (tmp_path / "out" / UNFINISHED).is_dir()
    with writing_alone(tmp_path / "out", 0o777):
        pass
    assert not list((tmp_path / "out").iterdir())


def test_what_a_crash_left_is_swept_away(tmp_path):
    left = tmp_path / "out" / UNFINISHED
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    (tmp_path / "out" / "whole").write_bytes(b"whole")
    with writing_alone(tmp_path / "out", 0o777):
        assert not list(left.iterdir())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


@pytest.mark.parametrize(
    ("pieces", "same"),
    [((b"ab", b"c"), True), ((b"abc",), True), ((b"ab",), False), ((b"abcd",), False), ((b"abd",), False)],
)
def test_contents_are_compared_to_the_last_byte(tmp_path, pieces, same):
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "other").write_bytes(b"".join(pieces))
    assert holds(tmp_path / "one", pieces) is same
    assert same_files(tmp_path / "one", tmp_path / "other") is same


def test_a_folder_holds_no_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert not holds(tmp_path, [])
    assert not same_files(tmp_path / "file", tmp_path)
