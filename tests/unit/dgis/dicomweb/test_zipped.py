"""Retrieving as a ZIP file: Python's reader and a stream's view of it, names, breaking off."""

import zipfile
from io import BytesIO

import pydicom
import pytest

from dgis.dicomweb.zipped import Member, zipped
from dgis.retriever.records import NotHere
from tests.unit.dgis.dicomweb.conftest import dataset
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

IMAGES = phantom(3)
AS_IT_LIES = "application/zip; transfer-syntax=*"
LITTLE = "1.2.840.10008.1.2.1"


def archive(content):
    opened = zipfile.ZipFile(BytesIO(content))
    assert opened.testzip() is None
    return opened


def above(path, names):
    """The path of the study or series that an instance is in."""
    return "/".join(path.split("/")[: 1 + 2 * names])


@pytest.mark.parametrize("names", [1, 2, 3])
def test_the_cleared_get_the_files_of_what_was_sent(shared, names):
    path = above(shared.paths(CLEARED)[0], names)
    answer = shared.get(path, CLEARED, AS_IT_LIES)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    opened = archive(answer.content)
    wanted = IMAGES if names < 3 else IMAGES[:1]
    assert [dataset(opened.read(name)) for name in opened.namelist()] == [each.dataset for each in wanted]
    assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
    assert answer.headers["content-disposition"] == 'attachment; filename="images.zip"'


@pytest.mark.parametrize("caller", [CLEARED, UNCLEARED])
def test_names_are_numbers_and_nothing_else_is_told(shared, caller):
    path = shared.paths(caller)[0]
    opened = archive(shared.get(above(path, 1), caller, AS_IT_LIES).content)
    assert opened.namelist() == ["001/000001.dcm", "001/000002.dcm", "001/000003.dcm"]
    assert opened.comment == b""
    assert {(info.date_time, info.comment, info.extra) for info in opened.infolist()} == {
        ((1980, 1, 1, 0, 0, 0), b"", b"")
    }


def test_others_get_the_deidentified_form_in_a_form_that_all_read(shared):
    path = shared.paths(UNCLEARED)[0]
    answer = shared.get(above(path, 2), UNCLEARED, "application/zip")
    assert b"DEMO-" not in answer.content
    opened = archive(answer.content)
    for name in opened.namelist():
        read = pydicom.dcmread(BytesIO(opened.read(name)))
        assert read.file_meta.TransferSyntaxUID == LITTLE
    assert shared.get(shared.paths(CLEARED)[0], UNCLEARED, "application/zip").status_code == 404


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("application/zip", "application/zip"),
        ('multipart/related; type="application/dicom"; q=0.5, application/zip', "application/zip"),
        ('multipart/related; type="application/dicom", application/zip; q=0.5', "multipart/related"),
        ("*/*", "multipart/related"),
        ("application/*, application/zip; q=0.1", None),
        ("application/zip; transfer-syntax=1.2.840.10008.1.2.4.50", None),
        ('multipart/related; type="application/zip"', None),
    ],
)
def test_what_is_asked_for_first_is_given(shared, accept, given):
    answer = shared.get(above(shared.paths(CLEARED)[0], 1), CLEARED, accept)
    if given is None:
        assert answer.status_code == 406
    else:
        assert answer.headers["content-type"].startswith(given)


def test_every_retrieve_is_in_the_trail(web):
    web.get(above(web.paths(CLEARED)[0], 1), CLEARED, AS_IT_LIES)
    (release,) = web.recorded("release")
    assert release.count == len(IMAGES)
    (transfer,) = web.recorded("transfer")
    assert (transfer.detail["completed"], transfer.outcome.name) == (len(IMAGES), "SUCCESS")


def test_what_breaks_off_half_way_is_no_zip_file(web, monkeypatch):
    prepare = web.door.images.retriever.prepare

    def breaking(refs):
        first, second, *rest = prepare(refs)

        def fails():
            yield bytes(1 << 20)
            raise NotHere("gone")

        object.__setattr__(second, "chunks", fails)
        return [first, second, *rest]

    monkeypatch.setattr(web.door.images.retriever, "prepare", breaking)
    answer = web.get(above(web.paths(CLEARED)[0], 1), CLEARED, AS_IT_LIES)
    assert not answer.complete
    assert answer.content
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(BytesIO(answer.content))


def test_members_are_given_on_as_they_come():
    asked = []

    def body(number):
        for piece in range(3):
            asked.append((number, piece))
            yield bytes([number]) * 1000

    members = (Member(f"{number}", 3000, body(number)) for number in (1, 2))
    given = bytearray()
    for piece in zipped(members):
        given += piece
        assert len(given) >= 1000 * (len(asked) - 1)  # nothing waits here but what was asked for last
    assert len(asked) == 6
    opened = archive(bytes(given))
    assert [opened.read(name) for name in opened.namelist()] == [b"\1" * 3000, b"\2" * 3000]


@pytest.mark.parametrize("length", [None, 1 << 31, 10])
def test_only_what_may_be_large_has_the_sizes_of_zip64(length):
    content = b"".join(zipped([Member("1", length, [b"0123456789"])]))
    assert archive(content).read("1") == b"0123456789"
    version = int.from_bytes(content[4:6], "little")
    assert (version >= 45) is (length != 10)


def test_no_member_is_an_empty_archive():
    assert archive(b"".join(zipped([]))).namelist() == []
