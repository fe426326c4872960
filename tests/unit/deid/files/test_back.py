import time

import pytest

from deid.files import SealsRefused
from deid.files import seals as sealing
from deid.files.back import NO_PATH, NO_PIXELS, OCCUPIED, OTHER_PIXELS
from deid.files.seals import Row, SealedFolder
from deid.seal.values import SealReason
from tests.unit.deid.files.build import (
    OTHER_SITE,
    SITE,
    native,
    part10,
    published_kinds,
    ultrasound,
    withheld_kinds,
)
from tests.unit.deid.files.site import Ward, contents


@pytest.fixture
def ward(tmp_path):
    return Ward(tmp_path)


def images(*numbers):
    return {f"DOE/{number}.dcm": part10(native(instance=f"1.2.{number}")) for number in numbers}


def test_every_file_comes_back_under_its_path(ward):
    one_each = {f"{kind}/Müller": raw for kind, raw in published_kinds().items()}
    files = {**one_each, **{f"w/{kind}": raw for kind, raw in withheld_kinds().items()}}
    ward.put(files).run()
    told = ward.restore()
    assert contents(ward.back) == files
    assert (told.written, told.failed) == (len(files), {})
    assert told.bytes == sum(map(len, files.values()))


def test_what_comes_back_is_for_its_owner_alone(ward):
    ward.put(images(1)).run()
    ward.restore()
    assert not [path for path in (ward.back, *ward.back.rglob("*")) if path.stat().st_mode & 0o077]


def test_the_same_again_changes_nothing(ward):
    ward.put(images(1, 2)).run()
    ward.restore()
    told = ward.restore()
    assert (told.written, told.unchanged, told.failed) == (0, 2, {})


def test_published_files_may_have_been_moved_and_renamed(ward):
    ward.put(images(1, 2)).run()
    for number, path in enumerate(list(ward.out.rglob("*.dcm"))):
        path.rename(ward.out / f"moved-{number}")
    assert ward.restore().written == 2
    assert contents(ward.back) == contents(ward.source)


def test_one_published_file_gives_its_original_and_no_other(ward):
    ward.put({**images(1, 2), "us": ultrasound()}).run()
    one = next(ward.out.rglob("*.dcm"))
    told = ward.restore(published=one)
    assert (told.files, told.written) == (1, 1)
    (back,) = contents(ward.back).items()
    assert back in contents(ward.source).items()


def test_a_file_that_was_not_published_gives_nothing(ward):
    ward.put({**images(1), "us": ultrasound()}).run()
    (ward.folder / "other").write_bytes(b"no image")
    assert ward.restore(published=ward.folder / "other").files == 0


def test_without_the_published_files_only_what_is_sealed_whole_comes_back(ward):
    ward.put({**images(1), "us": ultrasound()}).run()
    told = ward.restore(published=None)
    assert told.failed == {NO_PIXELS: 1}
    assert contents(ward.back) == {"us": ultrasound()}


def test_pixels_that_were_sealed_need_nothing_published(ward):
    ward.put({**images(1), "us": ultrasound()}).run(seal_pixels=True)
    assert ward.restore(published=None).failed == {}
    assert contents(ward.back) == contents(ward.source)


def test_changed_pixels_are_refused(ward):
    ward.put(images(1)).run()
    (path,) = ward.out.rglob("*.dcm")
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    assert ward.restore().failed == {OTHER_PIXELS: 1}
    assert contents(ward.back) == {}


def test_another_file_at_its_place_is_not_replaced(ward):
    ward.put(images(1)).run()
    (ward.back / "DOE").mkdir(parents=True)
    (ward.back / "DOE" / "1.dcm").write_bytes(b"mine")
    assert ward.restore().failed == {OCCUPIED: 1}
    assert contents(ward.back) == {"DOE/1.dcm": b"mine"}


def test_two_originals_of_one_path_both_come_back(ward):
    first, second = part10(native()), part10(native(instance="1.2.99"))
    ward.put({"a": first}).run()
    ward.put({"a": second}).run()
    told = ward.restore()
    assert (told.written, told.beside, told.failed) == (2, 1, {})
    back = contents(ward.back)
    assert set(back) == {"a", "a~2"}
    assert set(back.values()) == {first, second}
    assert ward.restore().unchanged == 2


def test_another_secret_opens_nothing(ward):
    ward.put(images(1)).run()
    with pytest.raises(SealsRefused, match="another secret"):
        ward.restore(site=OTHER_SITE)


def test_another_folder_is_no_sealed_folder(ward):
    ward.put(images(1)).run()
    with pytest.raises(SealsRefused, match="no folder of sealed originals"):
        ward.restore(sealed=ward.out)


def test_a_damaged_companion_is_told(ward):
    ward.put({**images(1)}).run()
    (companion,) = ward.sealed.rglob("*.seal")
    companion.write_bytes(companion.read_bytes()[:-1])
    told = ward.restore()
    assert told.written == 0
    assert told.failed.total() == 1
    assert "damaged" in next(iter(told.failed))


def test_a_patient_whose_key_was_destroyed_does_not_come_back(ward):
    ward.put({**images(1), "us": ultrasound()}).run()
    folder = SealedFolder(ward.sealed, SITE)
    (name,) = (path.stem for path in (ward.sealed / "keys" / "keys").glob("*.json"))
    folder._keys.shred(name, time.time_ns() // 1_000_000)
    told = ward.restore()
    assert contents(ward.back) == {}
    assert told.failed == {"the patient's key was destroyed": 1}
    assert {note.reason for note in ward.run().notes} == {"cannot be sealed: the patient's key was destroyed"}


@pytest.mark.parametrize(
    "path", ["../escape", "/etc/escape", "a/../../escape", "", "link/escape", ".dgis-unfinished/x", "a\0b"]
)
def test_no_path_leads_out(ward, monkeypatch, path):
    """Whoever holds the secret could seal such a path; it is refused all the same."""
    ward.put(images(1))
    encode = sealing._encode
    monkeypatch.setattr(
        sealing, "_encode", lambda rows: encode([Row(path, row.place, row.native_bytes) for row in rows])
    )
    ward.run()
    (ward.folder / "elsewhere").mkdir()
    ward.back.mkdir()
    (ward.back / "link").symlink_to(ward.folder / "elsewhere")
    told = ward.restore()
    assert told.failed == {NO_PATH: 1}
    assert contents(ward.back) == contents(ward.folder / "elsewhere") == {}
    assert not (ward.folder / "escape").exists()


@pytest.mark.parametrize("rows", [b'{"version": 2, "files": []}', b"rows of a catalog", b"[]"])
def test_rows_of_another_version_are_not_guessed_at(ward, monkeypatch, rows):
    ward.put(images(1))
    monkeypatch.setattr(sealing, "_encode", lambda _rows: rows)
    ward.run()
    assert ward.restore().failed == {SealReason.UNKNOWN_VERSION.value: 1}
