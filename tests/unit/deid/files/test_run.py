import os
from pathlib import Path

import pytest

from deid.files import CannotWrite, Fate, Occupied, SealsRefused, Tree, deidentify_file
from deid.files import run as running
from deid.files.batch import OCCUPIED, SAME_UID
from deid.files.placing import Shelf, writing_alone
from deid.files.run import batches, plan
from deid.files.tree import Found
from deid.profile import Profile
from deid.science.check import ScienceCheck
from deid.science.outcome import Failed
from deid.seal.values import SealReason, SealRefused
from tests.unit.deid.engine.build import el
from tests.unit.deid.files.build import (
    OTHER_SITE,
    native,
    part10,
    published_kinds,
    ultrasound,
    withheld_kinds,
)
from tests.unit.deid.files.site import Ward, contents


def images(count, first=1):
    return {
        f"DOE^JANE/{number:03}": part10(native(instance=f"1.2.3.{number}", values=(number, 2, 3, 4)))
        for number in range(first, first + count)
    }


@pytest.fixture
def ward(tmp_path):
    return Ward(tmp_path)


def test_a_file_whose_numbers_would_come_out_otherwise_is_sealed_whole(ward, monkeypatch):
    monkeypatch.setattr(ScienceCheck, "check", lambda *_: Failed("PixelSpacing is lost"))
    told = ward.put(images(1)).run()
    ((reason, fate),) = {(note.reason, note.fate) for note in told.notes}
    assert (fate, told.sealed, contents(ward.out)) == (Fate.WITHHELD, 1, {})
    assert reason.endswith(": PixelSpacing is lost")
    ward.restore()
    assert contents(ward.back) == images(1)


def test_each_file_is_published_withheld_or_left_out(ward):
    told = ward.put({**images(3), "us": ultrasound(), "note.txt": b"Jane Doe", "empty": b""}).run()
    assert told.files == 6
    assert told.fates == {Fate.PUBLISHED: 3, Fate.WITHHELD: 1, Fate.LEFT_OUT: 2}
    assert not told.trouble
    assert len(contents(ward.out)) == 3
    assert told.sealed == 4


def test_folders_are_named_by_pseudonyms(ward):
    ward.put(images(2)).run()
    for path in contents(ward.out):
        patient, study, series, name = path.split("/")
        assert len(patient) == 16
        assert patient.isalnum()
        assert all(part.startswith("2.25.") for part in (study, series, name))
        assert name.endswith(".dcm")


def test_the_tally_counts_tags_and_actions_of_a_series(ward):
    told = ward.put(images(3)).run()
    ((key, series),) = told.series.items()
    assert key.series.startswith("2.25.")
    assert len(series.patient) == 16
    assert series.published == 3
    assert series.actions[0x00100010, "D"] == 3
    assert series.actions[0x0020000D, "U"] == 3


def test_notes_say_which_file_and_why(ward):
    told = ward.put({"a": b"text", "b": ultrasound()}).run()
    assert [(note.number, note.fate, note.path) for note in told.notes] == [
        (1, Fate.LEFT_OUT, "a"),
        (2, Fate.WITHHELD, "b"),
    ]


def test_the_same_again_changes_nothing(ward):
    ward.put({**images(3), "us": ultrasound()})
    first, out, sealed = ward.run(), contents(ward.out), contents(ward.sealed)
    again = ward.run()
    assert again.unchanged == first.fates[Fate.PUBLISHED] == 3
    assert again.written_bytes == 0
    assert (contents(ward.out), contents(ward.sealed)) == (out, sealed)


def test_without_a_sealed_folder_nothing_of_the_originals_is_kept(ward):
    told = ward.put(images(2)).run(sealed=None)
    assert told.sealed == 0
    assert sorted(path.name for path in ward.folder.iterdir()) == ["in", "out"]


def test_one_file_under_two_names_is_published_once_and_sealed_twice(ward):
    raw = part10(native())
    told = ward.put({"a": raw, "b/c": raw}).run()
    assert told.fates == {Fate.PUBLISHED: 2}
    assert (told.unchanged, told.sealed) == (1, 2)
    assert len(contents(ward.out)) == 1


def test_of_one_uid_and_other_bytes_the_first_is_published_and_both_are_sealed(ward):
    first, second = part10(native()), part10(native(values=(9, 9, 9, 9)))
    told = ward.put({"a": first, "b/c": second}).run()
    assert told.fates == {Fate.PUBLISHED: 1, Fate.CONFLICT: 1}
    assert told.notes[0][:3] == (2, Fate.CONFLICT, SAME_UID)
    assert told.trouble
    assert told.sealed == 2
    (published,) = contents(ward.out).values()
    assert b"\1\0\2\0\3\0\4\0" in published


@pytest.mark.parametrize("files", [1, 1000])
def test_the_first_of_one_uid_comes_first_whatever_batch_it_is_in(ward, monkeypatch, files):
    monkeypatch.setattr(running, "BATCH_FILES", files)
    ward.put({f"{number}": part10(native(values=(number, 0, 0, 0))) for number in range(1, 5)})
    told = ward.run()
    assert told.fates == {Fate.PUBLISHED: 1, Fate.CONFLICT: 3}
    assert next(iter(contents(ward.out).values())).endswith(b"\1\0\0\0\0\0\0\0")


def test_what_lies_at_its_place_already_is_refused_not_replaced(ward):
    ward.put(images(1)).run()
    before = contents(ward.out)
    told = ward.run(profile=Profile.named("basic", ["full-dates"]))
    assert told.fates == {Fate.REFUSED: 1}
    assert told.notes[0].reason == OCCUPIED
    assert told.sealed == 0
    assert contents(ward.out) == before


def test_a_file_that_cannot_be_read_is_told_and_stops_nobody(ward, monkeypatch):
    ward.put(images(2))
    opened = Path.open

    def fails(self, *arguments, **named):
        if self.name == "001":
            raise PermissionError(13, "Permission denied", "DOE^JANE/001")
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", fails)
    told = ward.run()
    assert told.fates == {Fate.PUBLISHED: 1, Fate.FAILED: 1}
    assert told.notes[0].reason == "cannot be read: Permission denied"


def test_a_defect_met_by_one_file_stops_nobody_and_tells_nothing(ward, monkeypatch):
    ward.put(images(3))
    monkeypatch.setattr("deid.files.batch.deidentify_file", _raising_for(b"\2\0\2\0\3\0\4\0"))
    told = ward.run()
    assert told.fates == {Fate.PUBLISHED: 2, Fate.FAILED: 1}
    assert told.notes[0].reason == "a defect of this program (KeyError)"


def _raising_for(pixels):
    def deidentify(engine, file):
        if pixels in file:
            raise KeyError("DOE^JANE")
        return deidentify_file(engine, file)

    return deidentify


def test_originals_are_sealed_and_durable_before_anything_is_published(ward, monkeypatch):
    events = []
    name, fsync = Shelf.name, os.fsync

    def named(self, unfinished, place):
        events.append(place)
        return name(self, unfinished, place)

    def synced(descriptor):
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(Shelf, "name", named)
    monkeypatch.setattr(os, "fsync", synced)
    ward.put(images(2)).run()
    sealed = next(at for at, what in enumerate(events) if what.endswith(".seal"))
    first = next(at for at, what in enumerate(events) if what.endswith(".dcm"))
    assert sealed < first
    assert len(events[sealed - 1]) == 24, "the unfinished companion is synced before it has its name"
    assert Path(events[sealed]).parent.name in events[sealed + 1 : first], (
        "and its name before the first file"
    )


def test_what_cannot_be_sealed_is_not_published(ward, monkeypatch):
    def damaged(*_):
        raise SealRefused(SealReason.DAMAGED)

    ward.put(images(2))
    monkeypatch.setattr("deid.files.seals.open_companion", damaged)
    told = ward.run()
    assert told.fates == {Fate.FAILED: 2}
    assert contents(ward.out) == {}


@pytest.mark.parametrize("step", range(8))
def test_after_a_crash_at_any_name_the_next_run_goes_on(ward, monkeypatch, step):
    """The names are the commit points: companions first, then each file."""
    monkeypatch.setattr(running, "BATCH_FILES", 2)
    ward.put({**images(5), "us": ultrasound()})
    whole = Ward(ward.folder / "whole").put({**images(5), "us": ultrasound()})
    whole.run()
    name, count = Shelf.name, iter(range(100))

    def crashing(self, unfinished, place):
        if next(count) == step:
            raise KeyboardInterrupt
        return name(self, unfinished, place)

    with monkeypatch.context() as patched:
        patched.setattr(Shelf, "name", crashing)
        with pytest.raises(KeyboardInterrupt):
            ward.run()
    assert contents(ward.out).items() <= contents(whole.out).items()
    ward.run()
    assert contents(ward.out) == contents(whole.out)
    assert ward.restore().failed == {}
    assert contents(ward.back) == contents(ward.source)


def test_a_full_disk_stops_the_run_in_words(ward, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "DOE^JANE")

    ward.put(images(1))
    monkeypatch.setattr(Shelf, "write", full)
    with pytest.raises(CannotWrite, match=r"^No space left on device$"):
        ward.run()


def test_two_runs_into_one_folder_do_not_mix(ward):
    ward.put(images(1))
    with writing_alone(ward.out, 0o777), pytest.raises(Occupied):
        ward.run()


def test_a_sealed_folder_belongs_to_one_secret(ward):
    ward.put(images(1)).run()
    with pytest.raises(SealsRefused, match="another secret"):
        ward.run(site=OTHER_SITE, out=ward.folder / "other")


def test_sealed_data_are_for_their_owner_alone_and_hold_no_name(ward):
    ward.put({**images(2), **{f"DOE/{kind}": raw for kind, raw in withheld_kinds().items()}}).run()
    for path in (ward.sealed, *ward.sealed.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0
    for raw in contents(ward.sealed).values():
        assert b"DOE" not in raw


def test_a_damaged_companion_is_made_anew_by_the_next_run(ward):
    ward.put(images(2)).run()
    (companion,) = ward.sealed.rglob("*.seal")
    raw = bytearray(companion.read_bytes())
    raw[-5] ^= 1
    raw[len(raw) // 2] ^= 1
    companion.write_bytes(raw)
    assert ward.run().unchanged == 2
    assert ward.restore().written == 2


def test_many_processes_give_what_one_gives(ward, monkeypatch):
    monkeypatch.setattr(running, "BATCH_FILES", 2)
    monkeypatch.setattr(running, "_BATCHES_A_PROCESS", 1)
    files = {**published_kinds(), **withheld_kinds(), **images(20)}
    ward.put(files)
    one, two = ward.run(), ward.run(jobs=2, out=ward.folder / "two", sealed=ward.folder / "sealed-two")
    assert (one.fates, one.notes, one.series, one.sealed) == (two.fates, two.notes, two.series, two.sealed)
    assert contents(ward.out) == contents(ward.folder / "two")
    names = [
        sorted(path.name for path in (ward.folder / at).rglob("*.seal")) for at in ("sealed", "sealed-two")
    ]
    assert names[0] == names[1]
    assert ward.restore(jobs=2).failed == {}
    assert contents(ward.back) == files


def test_progress_goes_from_nothing_to_all(ward):
    seen = []
    ward.put({**images(3), "text": b"text"})
    running.deidentify_tree(ward.job(), progress=lambda *counts: seen.append(counts))
    assert seen == [(3, 3)]


def found(*sizes, folder="f"):
    return [Found(f"{folder}/{number}", size) for number, size in enumerate(sizes)]


def cut(files):
    made = plan(files, lambda path: path)
    return [len(batch) for batch in batches(made.first)]


def test_batches_are_bounded_in_bytes_and_files():
    assert cut(found(*[1] * 1030)) == [512, 512, 6]
    assert cut(found(*[20 << 20] * 3)) == [1, 1, 1]
    assert cut(found(1 << 40)) == [1]


def test_batches_end_where_a_folder_ends_unless_folders_are_small():
    assert cut([*found(*[1] * 40, folder="a"), *found(*[1] * 40, folder="b")]) == [40, 40]
    assert cut([*found(1, folder="a"), *found(1, folder="b"), *found(1, folder="c")]) == [3]
    assert cut([]) == []


def test_a_folder_added_later_leaves_other_folders_seals_alone(ward):
    ward.put({f"m/{name.rpartition('/')[2]}": raw for name, raw in images(40).items()}).run()
    before = contents(ward.sealed)
    ward.put({f"z/{name.rpartition('/')[2]}": raw for name, raw in images(3, first=100).items()}).run()
    assert before.items() <= contents(ward.sealed).items()


def test_a_single_file_is_a_tree(ward):
    ward.put({"DOE^JANE.dcm": part10(native())})
    told = ward.run(source=Tree(ward.source / "DOE^JANE.dcm"))
    assert told.fates == {Fate.PUBLISHED: 1}
    ward.restore()
    assert contents(ward.back) == contents(ward.source)


def test_uids_may_stay_and_still_be_no_path(ward):
    evil = part10(native(instance="../../../evil"))
    told = ward.put({"a": evil, "b": part10(native(extra=[el(0x0020000D, "UI", "..")]))}).run(
        profile=Profile.named("basic", ["retain-uids"])
    )
    assert told.fates == {Fate.PUBLISHED: 2}
    assert len(contents(ward.out)) == 2
    assert not [name for name in map(str, contents(ward.out)) if ".." in name or "evil" in name]
