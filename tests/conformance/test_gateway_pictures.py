"""Rendered resources and WADO-URI of a whole gateway: each resource, parameter and refusal, two callers."""

import dataclasses
import io

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dgis.demo import kinds, phantoms
from dgis.demo.peer import Peer
from dgis.demo.people import PEOPLE
from dgis.rendering.view import Function
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until
from tests.tools.client import decode
from tests.unit.dgis.rendering.test_grey import one_by_one

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-pictures")]

PASSCODE = "a long enough phrase"
HOSPITAL = ("radiologist", PASSCODE)
RESEARCH = ("researcher", PASSCODE)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
PERSON = PEOPLE[0]


def instances():
    """A CT of four images, and one each of three frames, without pixels, and with too few of them."""
    ct = list(phantoms.series(kinds.CT, PERSON, 4))
    return [*ct, *(changed(ct[0], number, change) for number, change in enumerate(CHANGES, 1))]


def changed(instance, number, change):
    dataset = decode(instance.dataset, EXPLICIT)
    dataset.SOPInstanceUID = f"{instance.sop_instance_uid[:-2]}{90 + number}"
    dataset.SeriesInstanceUID = f"{instance.series_uid[:-2]}{90 + number}"
    dataset.SeriesNumber = 90 + number
    change(dataset)
    return dataclasses.replace(
        instance,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_uid=dataset.SeriesInstanceUID,
        dataset=phantoms.encode(dataset),
    )


def three_frames(dataset):
    frame = dataset.PixelData
    dataset.NumberOfFrames = 3
    dataset.PixelData = frame + frame[::-1] + bytes(len(frame))


def no_pixels(dataset):
    for keyword in ("PixelData", "Rows", "Columns"):
        del dataset[keyword]


def too_few(dataset):
    dataset.PixelData = dataset.PixelData[:64]


CHANGES = (three_frames, no_pixels, too_few)


@dataclasses.dataclass(frozen=True)
class Names:
    """What one caller calls the study, its first CT image, and the three others."""

    study: str
    series: str
    image: str
    others: tuple[tuple[str, str], ...]  # (series, instance)

    @property
    def path(self):
        return f"/dicom-web/studies/{self.study}/series/{self.series}/instances/{self.image}"

    def other(self, place):
        series, instance = self.others[place]
        return f"/dicom-web/studies/{self.study}/series/{series}/instances/{instance}"

    def uri(self, **said):
        uids = {"studyUID": self.study, "seriesUID": self.series, "objectUID": self.image}
        return {"requestType": "WADO", **uids, **said}


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gateway:
        sent = instances()
        assert Peer("HOSPITAL1", gateway.address).store(sent, lambda: None) == len(sent)
        for name, department, institution, further in (
            ("radiologist", "Radiology", "Demo Hospital", ("--may", "phi")),
            ("researcher", "Informatics", "Elsewhere University", ()),
        ):
            said = ("--department", department, "--institution", institution)
            may = ("--may", "find", "--may", "retrieve", *further)
            gateway.cli("account", "add", name, *said, *may, typed=f"{PASSCODE}\n")
        gateway.wait_published()
        yield gateway


@pytest.fixture(scope="module")
def originals():
    ct, *others = instances()[0], *instances()[4:]
    return Names(
        ct.study_uid,
        ct.series_uid,
        ct.sop_instance_uid,
        tuple((each.series_uid, each.sop_instance_uid) for each in others),
    )


@pytest.fixture(scope="module")
def pseudonyms(gateway):
    peer = Peer("RESEARCH1", gateway.address)
    (study,) = {str(each.StudyInstanceUID) for each in peer.find({"StudyInstanceUID": ""})}
    got = [decode(each.dataset, EXPLICIT) for each in peer.get([study], lambda: None)]
    by_number = sorted(got, key=lambda each: (int(each.SeriesNumber), int(each.InstanceNumber)))
    first = by_number[0]
    others = [each for each in by_number if int(each.SeriesNumber) > 90]
    return Names(
        study,
        str(first.SeriesInstanceUID),
        str(first.SOPInstanceUID),
        tuple((str(each.SeriesInstanceUID), str(each.SOPInstanceUID)) for each in others),
    )


@pytest.fixture(scope="module")
def hospital(gateway):
    with httpx.Client(base_url=gateway.web, auth=HOSPITAL, timeout=120) as web:
        yield web


@pytest.fixture(scope="module")
def research(gateway):
    with httpx.Client(base_url=gateway.web, auth=RESEARCH, timeout=120) as web:
        yield web


def png(web, path, **parameters):
    answer = web.get(path, params=parameters, headers={"Accept": "image/png"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    return np.asarray(imagecodecs.png_decode(answer.content))


def parts_of(answer):
    kind, _, boundary = answer.headers["content-type"].partition("boundary=")
    assert kind.startswith("multipart/related; type=")
    *parts, end = answer.content.split(f"--{boundary}".encode())
    assert end.startswith(b"--")
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:]]


def test_an_instance_without_a_window_is_shown_from_its_lowest_to_its_highest(hospital, originals):
    sent = decode(instances()[0].dataset, EXPLICIT)
    pixels = np.frombuffer(sent.PixelData, "<i2").reshape(sent.Rows, sent.Columns).astype(float)
    picture = png(hospital, f"{originals.path}/rendered")
    expected = (pixels - pixels.min()) * 255 / (pixels.max() - pixels.min())
    assert np.abs(picture - expected).max() <= 0.5 + 1e-9


def test_a_window_is_that_of_the_request(hospital, originals):
    sent = decode(instances()[0].dataset, EXPLICIT)
    pixels = np.frombuffer(sent.PixelData, "<i2").reshape(sent.Rows, sent.Columns).astype(float)
    picture = png(hospital, f"{originals.path}/rendered", window="40,400,linear-exact")
    rescale = float(sent.get("RescaleSlope", 1)), float(sent.get("RescaleIntercept", 0))
    levels, places = np.unique(pixels * rescale[0] + rescale[1], return_inverse=True)
    expected = np.array([one_by_one(x, 40, 400, Function.LINEAR_EXACT) for x in levels])[places]
    assert np.abs(picture - expected.reshape(pixels.shape)).max() <= 0.5 + 1e-9


def test_both_callers_see_the_same_pixels_each_by_their_own_names(hospital, research, originals, pseudonyms):
    one = png(hospital, f"{originals.path}/rendered", window="40,400,linear")
    other = png(research, f"{pseudonyms.path}/rendered", window="40,400,linear")
    assert (one == other).all()


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_an_original_uid_is_nobody_elses(research, originals, resource):
    answer = research.get(f"{originals.path}/{resource}")
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_it_asks_who_it_is(gateway, originals, resource):
    assert httpx.get(f"{gateway.web}{originals.path}/{resource}").status_code == 401


def test_jpeg_is_what_comes_unless_something_else_is_asked_for(hospital, originals):
    for accept in ("*/*", "image/*", "image/jpeg", "image/avif,image/webp,image/*,*/*;q=0.8"):
        answer = hospital.get(f"{originals.path}/rendered", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), accept
        assert imagecodecs.jpeg8_check(answer.content)
    by_parameter = hospital.get(f"{originals.path}/rendered", params={"accept": "image/png"})
    assert by_parameter.headers["content-type"] == "image/png"


@pytest.mark.parametrize("accept", ["video/mp4", "image/gif", "text/html", "application/dicom"])
@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_other_media_types_are_not_acceptable(hospital, originals, accept, resource):
    answer = hospital.get(f"{originals.path}/{resource}", headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"


def test_several_pictures_are_multipart(hospital, originals):
    series = f"/dicom-web/studies/{originals.study}/series/{originals.series}/rendered"
    answer = hospital.get(series, headers={"Accept": "image/png"})
    assert len(parts_of(answer)) == 4
    first = np.asarray(imagecodecs.png_decode(parts_of(answer)[0]))
    assert (first == png(hospital, f"{originals.path}/rendered")).all()
    study = hospital.get(f"/dicom-web/studies/{originals.study}/rendered")
    assert len(parts_of(study)) == 7  # four, three frames, none of what has no pixels and of what has too few
    single = hospital.get(
        f"{originals.path}/rendered", headers={"Accept": 'multipart/related; type="image/jpeg"'}
    )
    assert len(parts_of(single)) == 1


def test_frames_by_number(hospital, originals):
    path = originals.other(0)
    frames = [png(hospital, f"{path}/frames/{number}/rendered") for number in (1, 2, 3)]
    assert (frames[0] == png(hospital, f"{originals.path}/rendered")).all()
    assert not (frames[0] == frames[1]).all()
    both = hospital.get(f"{path}/frames/3,1/rendered", headers={"Accept": "image/png"})
    third, first = (np.asarray(imagecodecs.png_decode(part)) for part in parts_of(both))
    assert (first == frames[0]).all()
    assert (third == frames[2]).all()


@pytest.mark.parametrize("level", ["study", "series", "instance", "frame"])
def test_thumbnails_are_small_at_every_level(hospital, originals, level):
    path = {
        "study": f"/dicom-web/studies/{originals.study}",
        "series": f"/dicom-web/studies/{originals.study}/series/{originals.series}",
        "instance": originals.path,
        "frame": f"{originals.other(0)}/frames/2",
    }[level]
    assert max(png(hospital, f"{path}/thumbnail").shape) <= 200
    assert max(png(hospital, f"{path}/thumbnail", viewport="50,40").shape) <= 50


def test_a_viewport_cuts_scales_and_mirrors(hospital, originals):
    whole = png(hospital, f"{originals.path}/rendered", window="40,400,linear")
    rows, columns = whole.shape
    cut = png(hospital, f"{originals.path}/rendered", window="40,400,linear", viewport="32,16,8,4,32,16")
    assert (cut == whole[4:20, 8:40]).all()
    mirrored = png(
        hospital,
        f"{originals.path}/rendered",
        window="40,400,linear",
        viewport=f"{columns},{rows},,,-{columns},",
    )
    assert (mirrored == whole[:, ::-1]).all()
    assert png(hospital, f"{originals.path}/rendered", viewport="20,1000").shape == (20 * rows // columns, 20)


BAD = {
    "window": ["1", "1,2", "a,b,linear", "1,2,cubic", "1,0,linear", "nan,5,linear", "1,2,linear,4", ""],
    "viewport": ["1", "0,0", "9000,1", "-5,5", "1,2,3", "5,5,0,0,0,9", "a,b", "5,5,99999,,,"],
    "quality": ["0", "101", "-1", "x", ""],
    "annotation": ["patient", "technique"],
    "iccprofile": ["yes", "srgb"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_what_is_no_parameter_is_refused_in_words(hospital, originals, name, value):
    answer = hospital.get(f"{originals.path}/rendered", params={name: value})
    assert answer.status_code == (406 if value.startswith("5,5,99999") else 400), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_parameters_nobody_knows_are_passed_over_and_twice_is_refused(hospital, originals):
    assert hospital.get(f"{originals.path}/rendered", params={"colour": "blue"}).status_code == 200
    twice = hospital.get(f"{originals.path}/rendered?quality=5&quality=6")
    assert twice.status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{image}/frames/2/rendered", 404),
        ("{image}/frames/0/rendered", 400),
        ("{image}/frames/x/rendered", 400),
        ("{image}/frames/1,,2/rendered", 400),
        ("{image}/frames/2/thumbnail", 404),
        ("{empty}/rendered", 406),
        ("{empty}/thumbnail", 406),
        ("{empty}/frames/1/rendered", 404),
        ("{damaged}/rendered", 406),
        ("{damaged}/thumbnail", 406),
        ("{damaged}/frames/1/rendered", 406),
        ("/dicom-web/studies/1.2.3/rendered", 404),
        ("/dicom-web/studies/x/rendered", 400),
        ("/dicom-web/studies/1.2.3/thumbnail", 404),
    ],
)
def test_what_cannot_be_shown_is_a_problem_and_the_door_lives(gateway, hospital, originals, path, status):
    path = path.format(image=originals.path, empty=originals.other(1), damaged=originals.other(2))
    pid = gateway.role_pid("web")
    answer = hospital.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert gateway.role_pid("web") == pid
    assert hospital.get("/readyz").status_code == 200


def file_of(answer):
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom"), answer.text
    return dcmread(io.BytesIO(answer.content))


def test_wado_gives_the_original_file(hospital, originals):
    got = file_of(hospital.get("/wado", params=originals.uri(contentType="application/dicom")))
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    assert phantoms.encode(Dataset(got)) == instances()[0].dataset
    said = originals.uri(contentType="application/dicom", transferSyntax=IMPLICIT)
    implicit = file_of(hospital.get("/wado", params=said))
    assert implicit.file_meta.TransferSyntaxUID == IMPLICIT
    assert implicit.PixelData == got.PixelData


def test_wado_gives_a_picture_of_one_frame_and_a_file_of_several(hospital, originals):
    assert hospital.get("/wado", params=originals.uri()).headers["content-type"] == "image/jpeg"
    series, instance = originals.others[0]
    said = originals.uri(seriesUID=series, objectUID=instance)
    assert len(file_of(hospital.get("/wado", params=said)).PixelData) == 3 * len(instances()[0].pixels)
    one = hospital.get("/wado", params=said | {"frameNumber": "2", "contentType": "image/png"})
    assert (
        np.asarray(imagecodecs.png_decode(one.content))
        == png(hospital, f"{originals.other(0)}/frames/2/rendered")
    ).all()
    series, instance = originals.others[1]
    assert file_of(hospital.get("/wado", params=originals.uri(seriesUID=series, objectUID=instance)))


def test_wado_shapes_a_picture(hospital, originals):
    whole = png(
        hospital, "/wado", **originals.uri(contentType="image/png", windowCenter="40", windowWidth="400")
    )
    assert (whole == png(hospital, f"{originals.path}/rendered", window="40,400,linear")).all()
    rows, columns = whole.shape
    said = originals.uri(contentType="image/png", windowCenter="40", windowWidth="400")
    quarter = png(hospital, "/wado", **said, region="0,0,0.5,0.5")
    assert (quarter == whole[: rows // 2, : columns // 2]).all()
    assert max(png(hospital, "/wado", **said, rows="30", columns="20").shape) <= 30


def test_wado_anonymized_is_the_de_identified_form(hospital, research, originals, pseudonyms):
    said = {"contentType": "application/dicom", "anonymize": "yes"}
    got = hospital.get("/wado", params=originals.uri(**said))
    assert file_of(got).SOPInstanceUID == pseudonyms.image
    assert got.content == research.get("/wado", params=pseudonyms.uri(**said)).content
    hunt = Hunt((PERSON.patient_id, PERSON.name.partition("^")[0], originals.study, originals.image))
    assert not hunt.find(got.content)


BAD_URI = [
    ({"requestType": "X"}, 400),
    ({"studyUID": ""}, 400),
    ({"objectUID": "x"}, 400),
    ({"objectUID": "1.2.3"}, 404),
    ({"contentType": "video/mpeg"}, 406),
    ({"contentType": "text/html"}, 406),
    ({"windowCenter": "40"}, 400),
    ({"windowWidth": "400"}, 400),
    ({"windowCenter": "a", "windowWidth": "1"}, 400),
    ({"region": "0,0,1"}, 400),
    ({"region": "0.5,0,0.5,1"}, 400),
    ({"region": "0,0,2,1"}, 400),
    ({"rows": "0"}, 400),
    ({"columns": "x"}, 400),
    ({"imageQuality": "0"}, 400),
    ({"frameNumber": "0"}, 400),
    ({"frameNumber": "2"}, 404),
    ({"annotation": "patient"}, 400),
    ({"anonymize": "no"}, 400),
    ({"presentationUID": "1.2"}, 400),
    ({"transferSyntax": EXPLICIT}, 400),
    ({"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.4.90"}, 406),
    ({"contentType": "application/dicom", "rows": "10"}, 400),
    ({"contentType": "application/dicom", "frameNumber": "1"}, 400),
]


@pytest.mark.parametrize(("said", "status"), BAD_URI)
def test_what_wado_cannot_give_is_a_problem(hospital, originals, said, status):
    answer = hospital.get("/wado", params=originals.uri(**said))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )


def test_wado_asks_who_it_is_and_gives_nobody_anothers(gateway, research, originals):
    assert httpx.get(f"{gateway.web}/wado", params=originals.uri()).status_code == 401
    assert research.get("/wado", params=originals.uri()).status_code == 404


def test_the_trail_says_who_saw_what(gateway, hospital, originals):
    hospital.get(f"{originals.path}/rendered", params={"quality": "44"})

    def entries(event, how):
        found = gateway.json("audit", "list", "--event", event, "--limit", "1000")
        return [
            each for each in found if each["detail"].get("how") == how and "radiologist" in each["caller"]
        ]

    wait_until(lambda: entries("transfer", "rendered"), 60, "the picture is in the trail")
    assert entries("release", "retrieve")


def test_nothing_of_a_patient_is_in_the_log(gateway):
    hunt = Hunt((PERSON.patient_id, PERSON.name.partition("^")[0], instances()[0].study_uid))
    assert not hunt.find(gateway.log().encode())
