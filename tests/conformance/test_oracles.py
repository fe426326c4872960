"""What the doors answer to who is not cleared, on the wire: a hit and a miss are the same bytes."""

import json

import pytest
from pydicom import dcmread

from dgis.configuration import Dicom
from dgis.demo.files import write_files
from tests import dcmtk
from tests.gateway import Gateway
from tests.tools import files
from tests.tools.client import FIND, GET, MOVE, Client, encode, query, query_contexts
from tests.tools.commitment import Requestor
from tests.tools.fetching import HOSPITAL, RESEARCH, find, studies
from tests.tools.receiver import Receiver

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-oracles")]

MISS = "1.2.826.0.1.3680043.8.498.1"
CLINIC = {
    "ae_title": "CLINIC",
    "assertions": {"user": "pacs", "department": "Radiology", "institution": "Elsewhere Clinic"},
    "may": ["store", "find", "retrieve", "phi"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two people's images: the first are published, the second lie in the cache alone."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_files(folder, 2)
    by_patient = {}
    for path in sorted(folder.rglob("*.dcm")):
        by_patient.setdefault(str(dcmread(path, stop_before_pixels=True).PatientID), []).append(path)
    return list(by_patient.values())


@pytest.fixture(scope="module")
def hospital_ws():
    with Receiver("HOSPITAL_WS") as receiver:
        yield receiver


@pytest.fixture(scope="module")
def gateway(images, hospital_ws):
    published, cached = images[0], [path for paths in images[1:] for path in paths]
    never = {f"DGIS__PUBLISH__{name}_SECONDS": "3600" for name in ("STABLE_AGE", "AFTER_RELEASE")}
    peers = [*(peer.model_dump(mode="json") for peer in Dicom().peers), CLINIC]
    settings = {"DGIS__DICOM__PEERS": json.dumps(peers), "DGIS__COMMITMENT__UNKNOWN_SECONDS": "3"}
    with Gateway(settings, destinations={"HOSPITAL_WS": hospital_ws.port}) as gateway:
        dcmtk.run("storescu", "-aet", HOSPITAL, "-aec", "DGIS", *gateway.address, *published)
        gateway.wait_published()
        gateway.kill()
        gateway.change(never)
        gateway.start()
        dcmtk.run("storescu", "-aet", HOSPITAL, "-aec", "DGIS", *gateway.address, *cached)
        yield gateway


@pytest.fixture(scope="module", params=["published", "in the cache"])
def known(request, images):
    """The header of an original, and the file it came in."""
    path = images[0 if request.param == "published" else 1][0]
    return dcmread(path, stop_before_pixels=True), files.read(path)


def wire_answers(gateway, calling, *asked):
    """Everything that comes back for some requests, (service, level, keys, further command elements)."""
    fields = {FIND: 0x20, GET: 0x10, MOVE: 0x21}
    answers = []
    with Client(gateway.address, calling, query_contexts(FIND, GET, MOVE)) as client:
        for service, level, keys, more in asked:
            abstract = f"1.2.840.10008.5.1.4.1.2.2.{service}"
            context = client.context(abstract)
            head = {"CommandField": fields[service], "MessageID": 7, "AffectedSOPClassUID": abstract, **more}
            identifier = encode(query(level, **keys), client.accepted[context])
            client.link.send(context, {**head, "Priority": 0}, identifier)
            answer = []
            while not answer or answer[-1].command["Status"] in (0xFF00, 0xFF01):
                answer.append(client.link.receive())
            answers.append([(message.command, message.data) for message in answer])
    return answers


def questions(header, *, hit):
    """Every way to ask for a thing by what only its original says; `hit` or something nobody has."""
    study = str(header.StudyInstanceUID) if hit else MISS
    series = str(header.SeriesInstanceUID) if hit else f"{MISS}.1"
    instance = str(header.SOPInstanceUID) if hit else f"{MISS}.1.1"
    name = str(header.PatientName) if hit else "Nobody^Here"
    patient = str(header.PatientID) if hit else "NOBODY-1"
    birth = str(header.PatientBirthDate) if hit else "18990101"
    accession = str(header.AccessionNumber or "ACC") if hit else "NOSUCH"
    shown = {"StudyInstanceUID": "", "PatientName": "", "NumberOfStudyRelatedInstances": ""}
    for keys in (
        {"PatientName": name},
        {"PatientName": f"{name[:5]}*"},
        {"PatientID": patient},
        {"PatientID": f"{patient[:4]}?{patient[5:]}"},
        {"PatientBirthDate": birth},
        {"PatientBirthDate": f"{birth}-{birth}"},
        {"AccessionNumber": accession},
        {"StudyInstanceUID": study},
        {"StudyInstanceUID": [study, f"{MISS}.7"]},
    ):
        yield FIND, "STUDY", {**shown, **keys}, {}
    yield FIND, "SERIES", {"StudyInstanceUID": study, "SeriesInstanceUID": ""}, {}
    yield FIND, "IMAGE", {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": ""}, {}
    for service, more in ((GET, {}), (MOVE, {"MoveDestination": "HOSPITAL_WS"})):
        yield service, "STUDY", {"StudyInstanceUID": study}, more
        yield service, "SERIES", {"StudyInstanceUID": study, "SeriesInstanceUID": series}, more
        path = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
        yield service, "IMAGE", path, more


def test_a_hit_and_a_miss_are_answered_with_the_same_bytes(gateway, known, hospital_ws):
    """Also where the transfer would go to somebody who is cleared."""
    header, _file = known
    before = len(hospital_ws.instances)
    hits = wire_answers(gateway, RESEARCH, *questions(header, hit=True))
    misses = wire_answers(gateway, RESEARCH, *questions(header, hit=False))
    assert hits == misses
    assert {answer[-1][0]["Status"] for answer in hits} == {0}
    assert {len(answer) for answer in hits} == {1}
    assert len(hospital_ws.instances) == before


def test_for_the_cleared_each_of_them_is_a_hit(gateway, known):
    asked = [question for question in questions(known[0], hit=True) if question[0] == FIND]
    assert all(len(answer) > 1 for answer in wire_answers(gateway, HOSPITAL, *asked))


def test_what_is_not_published_is_not_there(gateway, images):
    """Neither its original nor its pseudonym, for who is not cleared."""
    people = {str(dcmread(paths[0], stop_before_pixels=True).PatientID) for paths in images}
    cleared = find(gateway.address, HOSPITAL, "PATIENT", "patient", PatientID="")
    assert {str(one.PatientID) for one in cleared.identifiers} >= people
    seen = find(gateway.address, RESEARCH, "PATIENT", "patient", PatientID="").identifiers
    assert len(seen) == 1
    assert not {str(one.PatientID) for one in seen} & people
    assert len(studies(gateway.address, RESEARCH)) < len(studies(gateway.address, HOSPITAL))


def test_storage_commitment_tells_nothing(gateway, known):
    """Asked whether an instance is kept: neither the answer nor the report depends on it."""
    header, file = known
    told = []
    for number, instance in enumerate((str(header.SOPInstanceUID), MISS)):
        transaction = f"{MISS}.{number}.{len(file.dataset)}"
        with Requestor(gateway.address, RESEARCH) as asker:
            status = asker.ask(transaction, [(file.sop_class_uid, instance)])
            (report,) = asker.wait()
        assert (report.transaction, report.failed) == (
            transaction,
            [(file.sop_class_uid, instance, 0x0112)],
        )
        told.append((status, report.event_type, report.committed, len(report.data)))
    assert told[0] == told[1]
    assert file.sop_instance_uid


def test_a_duplicate_is_answered_as_what_is_new(gateway, known):
    """By another contributor: the same bytes, others under the same UID, and what nobody has sent before."""
    _header, file = known
    altered = file.dataset[:-2] + bytes(2)
    new_uid = f"{MISS}.{len(file.dataset)}"[: len(file.sop_instance_uid)].ljust(
        len(file.sop_instance_uid), "7"
    )
    new = file.dataset.replace(file.sop_instance_uid.encode(), new_uid.encode())
    sent = ((file.sop_instance_uid, file.dataset), (file.sop_instance_uid, altered), (new_uid, new))
    answers = []
    with Client(
        gateway.address, CLINIC["ae_title"], [(file.sop_class_uid, [file.transfer_syntax])]
    ) as client:
        (context,) = client.accepted
        for uid, dataset in sent:
            head = {"CommandField": 1, "MessageID": 7, "AffectedSOPClassUID": file.sop_class_uid}
            client.link.send(context, {**head, "Priority": 0, "AffectedSOPInstanceUID": uid}, dataset)
            said = client.link.receive().command
            assert said.pop("AffectedSOPInstanceUID") == uid
            answers.append(said)
    assert answers == [answers[0]] * 3
    assert answers[0]["Status"] == 0


def test_what_is_said_about_a_question_does_not_repeat_it(gateway):
    asked = [
        (FIND, "STUDY", {"StudyDate": "20240101-20230101"}, {}),
        (FIND, "SERIES", {"SeriesInstanceUID": ""}, {}),
        (GET, "STUDY", {"PatientID": "CANARY"}, {}),
        (MOVE, "STUDY", {"StudyInstanceUID": MISS}, {"MoveDestination": "CANARY"}),
    ]
    said = str(wire_answers(gateway, RESEARCH, *asked))
    assert "CANARY" not in said
    assert MISS not in said
