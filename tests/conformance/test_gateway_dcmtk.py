"""The dcmtk clients as a person at a prompt uses them, nothing else in between."""

import socket
from hashlib import sha256

import pytest
from pydicom import dcmread

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests import dcmtk
from tests.gateway import Gateway
from tests.tools import pixels, wire
from tests.tools.fetching import HOSPITAL, RESEARCH

pytestmark = [pytest.mark.dcmtk, pytest.mark.xdist_group("gateway-dcmtk")]

_PLAN = ((kinds.CT, PEOPLE[0], 3), (kinds.MR, PEOPLE[1], 3), (kinds.PET, PEOPLE[2], 4))
_ASKED = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName", "PatientID", "ModalitiesInStudy")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def instances():
    return [one for kind, person, count in _PLAN for one in phantoms.series(kind, person, count)]


@pytest.fixture(scope="module")
def gateway(instances, tmp_path_factory):
    """A gateway that received the images from storescu and has published them."""
    dcmtk.require_dcmtk()
    folder = tmp_path_factory.mktemp("files")
    for one in instances:
        head = _part10_head(one)
        (folder / f"{one.sop_instance_uid}.dcm").write_bytes(head + one.dataset)
    ports = {"HOSPITAL_WS": free_port(), "RESEARCH_WS": free_port()}
    with Gateway(destinations=ports) as gateway:
        gateway.ports = ports
        dcmtk.run("storescu", "-aet", HOSPITAL, "-aec", "DGIS", *gateway.address, "+sd", folder)
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        yield gateway


def _part10_head(one: phantoms.Instance) -> bytes:
    syntax = one.transfer_syntax.encode() + b"\0" * (len(one.transfer_syntax) % 2)
    meta = b"\x02\0\x10\0UI" + len(syntax).to_bytes(2, "little") + syntax
    length = b"\x02\0\0\0UL\x04\0" + len(meta).to_bytes(4, "little")
    return bytes(128) + b"DICM" + length + meta


def test_echoscu(gateway):
    dcmtk.echo(gateway.address, HOSPITAL)
    dcmtk.echo(gateway.address, RESEARCH)


@pytest.mark.parametrize("root", ["-S", "-P"])
def test_findscu_shows_each_caller_its_own(gateway, instances, tmp_path, root):
    level = {"-S": _ASKED, "-P": ("QueryRetrieveLevel=PATIENT", "PatientName", "PatientID")}[root]
    cleared = dcmtk.find(gateway.address, HOSPITAL, level, tmp_path / "h", root)
    uncleared = dcmtk.find(gateway.address, RESEARCH, level, tmp_path / "r", root)
    assert sorted(str(one.PatientName) for one in cleared) == sorted(person.name for person in PEOPLE)
    assert len(uncleared) == len(cleared)
    assert not {str(one.PatientID) for one in uncleared} & {person.patient_id for person in PEOPLE}
    if root == "-S":
        assert {str(one.StudyInstanceUID) for one in cleared} == {one.study_uid for one in instances}


def test_getscu_brings_the_very_bytes(gateway, instances, tmp_path):
    got = []
    for study in sorted({one.study_uid for one in instances}):
        folder = tmp_path / study
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}")
        got += dcmtk.get(gateway.address, HOSPITAL, keys, folder, "+xe")
    assert _digests(got) == sorted(sha256(one.dataset).hexdigest() for one in instances)


def test_movescu_brings_the_very_bytes_to_storescp(gateway, instances, tmp_path):
    with dcmtk.storescp(tmp_path / "in", "HOSPITAL_WS", gateway.ports["HOSPITAL_WS"]) as folder:
        for study in sorted({one.study_uid for one in instances}):
            keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}")
            dcmtk.move(gateway.address, HOSPITAL, "HOSPITAL_WS", keys)
        assert _digests(folder.iterdir()) == sorted(sha256(one.dataset).hexdigest() for one in instances)


def test_research_gets_pixels_and_no_names(gateway, instances, tmp_path):
    found = dcmtk.find(gateway.address, RESEARCH, _ASKED, tmp_path / "found")
    got = []
    for number, study in enumerate(found):
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study.StudyInstanceUID}")
        got += dcmtk.get(gateway.address, RESEARCH, keys, tmp_path / str(number), "+xe")
    assert len(got) == len(instances)
    datasets = [dcmtk.dataset_bytes(path) for path in got]
    ours = sorted(pixels.fingerprint(dataset, wire.EXPLICIT) for dataset in datasets)
    assert ours == sorted(pixels.fingerprint(one.dataset, wire.EXPLICIT) for one in instances)
    names = [person.name.encode(person.codec) for person in PEOPLE]
    assert not [name for name in names for dataset in datasets if name in dataset]
    assert {str(dcmread(path).PatientIdentityRemoved) for path in got} == {"YES"}


def test_a_study_asked_for_by_its_original_uid_does_not_exist_for_research(gateway, instances, tmp_path):
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={instances[0].study_uid}")
    assert dcmtk.find(gateway.address, RESEARCH, keys, tmp_path / "found") == []
    assert dcmtk.get(gateway.address, RESEARCH, keys, tmp_path / "got") == []


def test_an_unknown_destination_is_refused_in_words(gateway, instances):
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={instances[0].study_uid}")
    refused = dcmtk.move(gateway.address, HOSPITAL, "NOWHERE", keys, "-d", check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "0xa801" in said
    assert "[dicom.destinations]" in said  # the error comment says where to make it known


def test_a_stranger_gets_no_association(gateway):
    with pytest.raises(AssertionError):
        dcmtk.echo(gateway.address, "STRANGER")


def _digests(paths) -> list[str]:
    return sorted(sha256(dcmtk.dataset_bytes(path)).hexdigest() for path in paths)
