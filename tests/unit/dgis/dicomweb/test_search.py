import json
import xml.etree.ElementTree as ET

import pytest
from pydicom.dataset import Dataset

from catalog.query import Level
from dgis.dicomweb.asked import MOST_RESULTS, search_of
from dgis.dicomweb.json_model import decimals, names, numbers, texts
from dgis.dicomweb.matches import MatchWriter
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.returned import everything, keyword_of, required
from dgis.web.problems import Problem
from tests.unit.dgis.dicomweb.conftest import parts
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

IMAGES = phantom(3)
NAME = "00100010"


def uids(path):
    return path.split("/")[2::2]


def searched(level, *pairs, **path):
    return search_of(level, path, Parameters(pairs))


def test_a_search_is_the_query_of_cfind():
    asked = searched(
        Level.SERIES,
        ("PatientName", "DOE^*"),
        ("00080060", "CT"),
        ("SeriesInstanceUID", "1.2,1.3\\1.4"),
        ("includefield", "StationName,00081030"),
        ("includefield", "PatientID"),
        ("fuzzymatching", "true"),
        ("limit", "5"),
        ("offset", "7"),
        study="1.9",
    )
    keys = {key.keyword: key.values for key in asked.query.keys}
    assert keys["PatientName"] == ("DOE^*",)
    assert keys["Modality"] == ("CT",)
    assert keys["SeriesInstanceUID"] == ("1.2", "1.3", "1.4")
    assert keys["StudyInstanceUID"] == ("1.9",)
    assert {"StationName", "StudyDescription", "PatientID"} <= keys.keys()
    assert asked.query.fuzzy
    assert not asked.query.relational
    assert (asked.limit, asked.offset, asked.unmatched) == (5, 7, ())


def test_what_no_path_states_is_asked_relationally_and_returned():
    asked = searched(Level.IMAGE)
    assert asked.query.relational
    assert {"PatientName", "Modality", "SOPClassUID"} <= set(asked.keywords)
    assert asked.limit == MOST_RESULTS
    assert "PatientName" not in searched(Level.IMAGE, study="1.2", series="1.3").keywords


@pytest.mark.parametrize(
    "pairs",
    [
        [("NoSuchKeyword", "1")],
        [("0010001", "1")],
        [("../etc", "1")],
        [("x" * 10_000, "1")],
        [("PatientID.StudyDate", "1")],
        [("PatientID", "1"), ("00100020", "1")],
        [("limit", "-1")],
        [("limit", "1"), ("limit", "2")],
        [("offset", "1e3")],
        [("offset", "9" * 5000)],
        [("fuzzymatching", "perhaps")],
    ],
)
def test_what_is_no_parameter_is_400(pairs):
    with pytest.raises(Problem) as problem:
        searched(Level.STUDY, *pairs)
    assert problem.value.status == 400


def test_a_uid_of_the_path_is_not_asked_for_again():
    with pytest.raises(Problem):
        searched(Level.SERIES, ("StudyInstanceUID", "1.2"), study="1.2")


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("PatientName", "PatientName"),
        ("00100010", "PatientName"),
        ("0020000d", "StudyInstanceUID"),
        ("00081110.00081150", ""),
        ("RequestAttributesSequence.ScheduledProcedureStepID", ""),
        ("00091001", ""),
        ("patientname", None),
        ("", None),
    ],
)
def test_attribute_ids(name, keyword):
    assert keyword_of(name) == keyword


def test_keys_that_nobody_matches_by_are_told():
    asked = searched(Level.STUDY, ("00081110.00081150", "1.2"), ("BurnedInAnnotation", "NO"))
    assert len(asked.unmatched) == 2
    assert "BurnedInAnnotation" in asked.unmatched


def test_includefield_a_thousand_fold_is_each_once():
    asked = searched(Level.STUDY, *[("includefield", "PatientAge,all")] * 1000)
    assert len(asked.keywords) == len(set(asked.keywords))
    assert set(everything(Level.STUDY)) <= set(asked.keywords)


TABLES = {  # PS3.18 Tables 10.6.3-3 to 10.6.3-5, as far as the catalog knows them
    Level.STUDY: "00080020 00080030 00080050 00080061 00080090 00080201 00100010 00100020 00100030 00100040 "
    "0020000D 00200010 00201206 00201208",
    Level.SERIES: "00080060 00080201 0008103E 0020000E 00200011 00201209 00400244 00400245",
    Level.IMAGE: "00080016 00080018 00080201 00200013 00280010 00280011 00280100 00280008",
}


@pytest.mark.parametrize("level", TABLES)
def test_every_answer_has_what_the_tables_require(level):
    stated = frozenset(each for each in TABLES if each.depth < level.depth)
    written = json.loads(MatchWriter(required(level, stated), level, "http://x").json({}))
    assert {*TABLES[level].split(), "00080056", "00081190"} <= written.keys()
    assert list(written) == sorted(written)


def test_values_in_json():
    assert json.loads(b"[" + decimals(["1.50", "-3", "+4", "1.00000000000000001", "x", ""]) + b"]") == [
        1.5,
        -3,
        4,
        "1.00000000000000001",
        "x",
        None,
    ]
    assert json.loads(b"[" + texts(['a"\\\n', "é", ""]) + b"]") == ['a"\\\n', "é", None]
    assert json.loads(b"[" + numbers([1, 2.5, float("nan"), float("-inf")]) + b"]") == [
        1,
        2.5,
        "NaN",
        "-Infinity",
    ]
    assert json.loads(b"[" + names(["A^B=C=D", "=C", "", "a=b=c=d"]) + b"]") == [
        {"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": "D"},
        {"Ideographic": "C"},
        None,
        {"Alphabetic": "a", "Ideographic": "b", "Phonetic": "c=d"},
    ]


def test_others_learn_nothing_from_matching_originals(shared):
    cleared = shared.get("/studies", CLEARED).json()
    name = cleared[0][NAME]["Value"][0]["Alphabetic"]
    patient = cleared[0]["00100020"]["Value"][0]
    (others,) = shared.get("/studies").json()
    assert others[NAME]["Value"][0]["Alphabetic"] != name
    study, series, instance = uids(shared.paths(CLEARED)[0])
    for path, asked in (
        ("/studies", {"PatientName": name}),
        ("/studies", {"PatientID": patient}),
        ("/studies", {"StudyInstanceUID": study}),
        ("/series", {"SeriesInstanceUID": series}),
        ("/instances", {"SOPInstanceUID": instance}),
        (f"/studies/{study}/series", {}),
    ):
        known, unknown = shared.get(path, CLEARED, params=asked), shared.get(path, params=asked)
        assert known.json()
        never = shared.get(path.replace(study, "1.2.3"), params=dict.fromkeys(asked, "1.2.3"))
        assert (unknown.status_code, unknown.content) == (200, b"[]")
        assert dict(unknown.headers) == dict(never.headers)


def test_every_level_by_every_path(shared):
    for caller in (CLEARED, UNCLEARED):
        study, series, _instance = uids(shared.paths(caller)[0])
        instances = {uids(path)[2] for path in shared.paths(caller)}
        for path in (
            "/instances",
            f"/studies/{study}/instances",
            f"/studies/{study}/series/{series}/instances",
            f"/series/{series}/instances",
        ):
            found = shared.get(path, caller).json()
            assert {each["00080018"]["Value"][0] for each in found} == instances
            urls = {each["00081190"]["Value"][0] for each in found}
            assert urls == {f"http://gateway:80/dicom-web{each}" for each in shared.paths(caller)}
        for path in ("/series", f"/studies/{study}/series"):
            (found,) = shared.get(path, caller).json()
            assert found["0020000E"]["Value"] == [series]
            assert found["00201209"]["Value"] == [len(IMAGES)]
            Dataset.from_json(found)


def test_pages_say_what_is_left(shared):
    seen = []
    for offset in range(3):
        answer = shared.get("/instances", params={"limit": 1, "offset": offset})
        (found,) = answer.json()
        seen.append(found["00080018"]["Value"][0])
        assert ("299" in answer.headers.get("warning", "")) == (offset < 2)
    assert answer.headers["x-total-count"] == "3"
    assert len(set(seen)) == 3
    behind = shared.get("/instances", params={"offset": 3})
    assert (behind.status_code, behind.json()) == (200, [])
    assert shared.get("/instances", params={"limit": 0}).json() == []


def test_a_page_begins_where_the_one_before_ended(shared, monkeypatch):
    asked = []
    find = type(shared.door.images).find
    monkeypatch.setattr(
        type(shared.door.images),
        "find",
        lambda self, who, query: asked.append(query) or find(self, who, query),
    )
    pages = [shared.get("/instances", params={"limit": 1, "offset": n, "Rows": "*"}).json() for n in range(3)]
    assert [query.after is not None for query in asked] == [False, True, True]
    assert [query.limit for query in asked] == [2, 2, 2]
    alone = [
        shared.get("/instances", CLEARED, params={"limit": 1, "offset": n}).json() for n in (2, 1, 0)
    ]  # never in turn
    assert len({json.dumps(each) for each in pages}) == len({json.dumps(each) for each in alone}) == 3


def test_xml_says_the_same(shared):
    answer = shared.get("/studies", CLEARED, 'multipart/related; type="application/dicom+xml"')
    ((fields, body),) = parts(answer)
    assert fields == "Content-Type: application/dicom+xml; charset=utf-8"
    (told,) = shared.get("/studies", CLEARED).json()
    space = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    tree = ET.fromstring(body)
    assert [each.get("tag") for each in tree] == list(told)
    number = next(each for each in tree if each.get("tag") == "00201208")
    assert [each.text for each in number.iter(f"{space}Value")] == [str(told["00201208"]["Value"][0])]
    patient = next(each for each in tree if each.get("tag") == NAME)
    family = next(each.text for each in patient.iter(f"{space}FamilyName"))
    assert told[NAME]["Value"][0]["Alphabetic"].startswith(family)
    assert shared.get("/studies", None).status_code == 401
    nothing = shared.get("/studies", accept=answer.request.headers["accept"], params={"PatientID": "no"})
    assert nothing.status_code == 204


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        (None, 200, "application/dicom+json"),
        ("application/json", 200, "application/json"),
        ("application/*;q=0.5, text/html", 200, "application/dicom+json"),
        ("text/html", 406, "application/problem+json"),
        ('multipart/related; type="application/dicom"', 406, "application/problem+json"),
    ],
)
def test_what_is_acceptable_decides(shared, accept, status, media_type):
    answer = shared.get("/studies", accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, media_type)


def test_an_accept_parameter_as_most_clients_write_it(shared):
    for written in ("application/dicom+json", "application/dicom%2Bjson"):
        assert shared.get(f"/studies?accept={written}", accept="text/html").status_code == 200


def test_too_much_is_refused(shared):
    assert shared.get("/studies", params={"PatientID": "x" * 40_000}).status_code == 414
    assert shared.get("/studies?" + "includefield=PatientAge&" * 1300).status_code == 400
    assert shared.get("/studies", params={"PatientID": "*?" * 20}).status_code == 413
    assert shared.get("/studies?PatientID=%ff").status_code == 400
    assert shared.get("/studies", params={"StudyDate": "yesterday"}).status_code == 400


def test_every_search_is_in_the_trail(web):
    web.get("/studies", CLEARED, params={"StudyDate": "yesterday"})
    web.get("/studies", CLEARED, params={"PatientID": "*"})
    assert web.recorded("release")
    well, refused = web.recorded("query")
    assert (well.outcome.name, well.detail["matches"]) == ("SUCCESS", 1)
    assert (refused.outcome.name, refused.detail["reason"]) == ("MINOR_FAILURE", "value")


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("grid.example", "http://grid.example"),
        ("grid.example:8042", "http://grid.example:8042"),
        ("gateway", "http://gateway:80"),  # the address that was connected to, without its port
        ("[::1]:8042", "http://[::1]:8042"),
        ('evil"/><script>', "http://gateway:80"),
        ("x" * 300, "http://gateway:80"),
    ],
)
def test_urls_are_under_the_host_that_was_asked_if_it_is_one(shared, host, base):
    (found,) = shared.get("/studies", headers={"Host": host}).json()
    assert found["00081190"]["Value"][0].startswith(f"{base}/dicom-web/studies/")
