from dataclasses import replace

import pydicom
import pytest

from catalog.callers import Right
from dgis.retriever.records import NotHere
from dgis.transcode.errors import TranscodeError
from tests.gateway import wait_until
from tests.unit.dgis.dicomweb.conftest import dataset, parts
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
LITTLE = "1.2.840.10008.1.2.1"


IMAGES = phantom(3)


def above(path, names):
    """The path of the study or series that an instance is in."""
    return "/".join(path.split("/")[: 1 + 2 * names])


@pytest.mark.parametrize("evicted", [False, True])
def test_the_cleared_get_the_bytes_that_were_sent(web, evicted):
    if evicted:
        web.site.evict()
    (path, *_others) = web.paths(CLEARED)
    for names in (1, 2):
        answer = web.get(above(path, names), CLEARED, AS_STORED)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom"')
        got = parts(answer)
        assert [dataset(body) for _fields, body in got] == [image.dataset for image in IMAGES]
        assert {fields for fields, _body in got} == {
            f"Content-Type: application/dicom; transfer-syntax={IMAGES[0].transfer_syntax}"
        }
    ((_fields, body),) = parts(web.get(path, CLEARED, AS_STORED))
    assert dataset(body) == IMAGES[0].dataset


def test_others_get_the_deidentified_form_by_pseudonyms_and_nothing_by_originals(shared):
    path = shared.paths(UNCLEARED)[0]
    got = parts(shared.get(above(path, 2)))
    assert len(got) == len(IMAGES)
    for _fields, body in got:
        assert b"DEMO-" not in body
        assert pydicom.dcmread(pydicom.filebase.DicomBytesIO(body)).file_meta.TransferSyntaxUID == LITTLE
    missing = shared.get(shared.paths(CLEARED)[0])
    unknown = shared.get("/studies/1.2.3/series/1.2.3/instances/1.2.3")
    assert (missing.status_code, missing.json()) == (unknown.status_code, unknown.json())
    assert missing.status_code == 404


def test_a_single_object_is_had_without_parts(shared):
    path = shared.paths(CLEARED)[0]
    answer = shared.get(path, CLEARED, "application/dicom; transfer-syntax=*")
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={IMAGES[0].transfer_syntax}"
    assert dataset(answer.content) == IMAGES[0].dataset
    assert shared.get(above(path, 2), CLEARED, "application/dicom").status_code == 406


def test_every_retrieve_is_in_the_trail_and_originals_before_they_leave(web):
    path = web.paths(CLEARED)[0]
    web.get(above(path, 1), CLEARED, AS_STORED)
    (release,) = web.recorded("release")
    assert release.count == len(IMAGES)
    (transfer,) = web.recorded("transfer")
    assert transfer.detail["completed"] == len(IMAGES)
    assert transfer.detail["query"]["level"] == "STUDY"
    assert transfer.outcome.name == "SUCCESS"


def test_without_the_right_nothing_is_looked_up(web):
    web.logins.callers["finder"] = finder = replace(CLEARED, name="finder", may=frozenset({Right.FIND}))
    answer = web.get(web.paths(CLEARED)[0], finder)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_authorized")
    assert [each.detail["words"] for each in web.recorded("transfer")] == ["not_authorized"]
    assert not web.in_trail("release")


def test_what_cannot_be_had_now_is_503_before_anything_left(web):
    for node in "abc":
        web.site.grid.memory[node].objects.clear()
    answer = web.get(web.paths(UNCLEARED)[0])
    assert (answer.status_code, answer.json()["reason"]) == (503, "not_now")
    assert answer.headers["retry-after"]
    assert [each.detail["words"] for each in web.recorded("transfer")] == ["NotHere"]


def test_what_cannot_be_decoded_is_told_before_anything_left(web, monkeypatch):
    retriever = type(web.door.images.retriever)
    prepare = retriever.prepare

    def compressed(self, refs):
        return [replace(each, transfer_syntax="1.2.840.10008.1.2.4.70") for each in prepare(self, refs)]

    def convert(_self, _instance, _target):
        raise TranscodeError("no such image")
        yield b""

    monkeypatch.setattr(retriever, "prepare", compressed)
    monkeypatch.setattr(type(web.door.images.transcoder), "convert", convert)
    path = web.paths(CLEARED)[0]
    answer = web.get(path, CLEARED, 'multipart/related; type="application/dicom"')
    assert (answer.status_code, answer.json()["reason"]) == (406, "not_convertible")
    asked = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50'
    assert web.get(path, CLEARED, asked).status_code == 406
    words = wait_until(
        lambda: [each.detail["words"] for each in web.in_trail("transfer")][1:] and web.in_trail("transfer"),
        60,
        "both are recorded",
    )
    assert {each.detail["words"] for each in words} == {"TranscodeError", "not_acceptable"}


def test_what_breaks_off_half_way_has_no_end(web, monkeypatch):
    retriever = type(web.door.images.retriever)
    prepare = retriever.prepare

    def broken(self, refs):
        prepared = prepare(self, refs)

        def chunks():
            yield b"x" * 300_000
            raise NotHere("gone")

        return [prepared[0], replace(prepared[1], chunks=chunks), prepared[2]]

    monkeypatch.setattr(retriever, "prepare", broken)
    answer = web.get(above(web.paths(CLEARED)[0], 2), CLEARED, AS_STORED)
    assert answer.status_code == 200  # it had begun
    assert not answer.complete
    boundary = answer.headers["content-type"].rpartition("=")[2].encode()
    assert b"--" + boundary + b"--" not in answer.content
    (transfer,) = web.recorded("transfer")
    assert (transfer.detail["words"], transfer.detail["completed"]) == ("cut_short", 1)


@pytest.mark.parametrize("path", ["/studies/1.2.x", "/studies/" + "1" * 65, "/studies/1%00"])
def test_what_is_no_uid_is_400(shared, path):
    answer = shared.get(path)
    assert (answer.status_code, answer.json()["reason"]) == (400, "no_uid")


def test_nobody_unknown_is_answered(shared):
    assert shared.get(shared.paths(UNCLEARED)[0], None).status_code == 401


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("application/dicom+json", 406),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90', 406),
        ('text/html, multipart/related; type="application/dicom"; q=0.1', 200),
        ("*/*", 200),
        ("application/*", 200),
        ("no media type", 400),
        ("a/b," * 2000, 400),
    ],
)
def test_what_is_acceptable_decides(shared, accept, status):
    assert shared.get(shared.paths(UNCLEARED)[0], accept=accept).status_code == status


def test_the_query_parameter_comes_before_the_field(shared):
    path = shared.paths(UNCLEARED)[0]
    asked = {"accept": 'multipart/related; type="application/dicom"'}
    assert shared.get(path, accept="text/html", params=asked).status_code == 200
