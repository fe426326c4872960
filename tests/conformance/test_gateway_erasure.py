"""A patient's originals destroyed in a running gateway: not a byte of them is left, and nothing else is."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import dcmread

from deid.keys.folder import FolderVault
from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.record.part10 import file_head
from tests import dcmtk
from tests.canary import Hunt
from tests.gateway import Gateway
from tests.tools import identifiers, wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, RESEARCH

pytestmark = pytest.mark.xdist_group("gateway-erasure")

GONE, KEPT = PEOPLE[0], PEOPLE[1]
WHO = ("--patient", GONE.patient_id, "--issuer", "DEMO")
SLICES = 34  # of half a megabyte: they fill a segment, which is kept as a spare when they are evicted
SETTINGS = {"DGIS__CACHE__MAX_BYTES": str(128 << 20), "DGIS__BACKUP__KEEP_DAYS": "35"}
SMALL = replace(kinds.PET, scanner=replace(anatomy.PET, rows=32))


def series(*what):
    return list(phantoms.series(*what))


def written(images, folder):
    folder.mkdir()
    for image in images:
        head = file_head(image.sop_class_uid, image.sop_instance_uid, image.transfer_syntax)
        (folder / f"{image.sop_instance_uid}.dcm").write_bytes(head + image.dataset)
    return sorted(folder.iterdir())


def canaries(paths, person):
    """What names the patient: every UID, name and number of the files, and pixels as they were sent."""
    found = {person.patient_id, person.accession_number, person.birth_date, *person.name.split("=")}
    for path in paths:
        dataset = dcmread(path)
        found |= identifiers.uids(dataset) | identifiers.words(dataset)
    return found


def pixel_rows(images):
    """A stretch of raw pixels of each image that says which image it is."""
    middles = (image.pixels[len(image.pixels) // 2 :][:64] for image in images)
    return {middle for middle in middles if len(set(middle)) > 8}


def everything(gateway):
    """Every byte in the gateway's keeping, with its path; nodes' records are looked into."""
    for path in sorted(gateway.home.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(gateway.home)), path.read_bytes()
    for number, header in enumerate(gateway.on_nodes()):
        yield f"nodes/{number}", header


def found_in(gateway, hunt):
    return {place: values for place, data in everything(gateway) if (values := hunt.find(data))}


def store(gateway, images):
    contexts = [(image.sop_class_uid, [image.transfer_syntax]) for image in images[:1]]
    with Client(gateway.address, HOSPITAL, contexts) as client:
        for one in images:
            assert not client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)


@dataclass(frozen=True)
class Erased:
    """What was sent, what was found before, and what the command said."""

    gateway: Gateway
    folder: Path
    images: list
    kept: list
    hunt: Hunt
    before: dict
    pseudonym: str
    report: dict


@pytest.fixture(scope="module")
def erased(tmp_path_factory):
    """Two patients sent by dcmtk; one is destroyed while the gateway runs, after eviction and more images."""
    dcmtk.require_dcmtk()
    folder = tmp_path_factory.mktemp("erasure")
    images = [*series(kinds.CT, GONE, SLICES, 1), *series(SMALL, GONE, 3, 2)]
    sent = written(images, folder / "gone")
    kept = written(series(SMALL, KEPT, 4, 3), folder / "kept")
    with Gateway(SETTINGS) as gateway:
        dcmtk.storescu(gateway.address, sent, HOSPITAL, folder)
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        gateway.restart()
        late = series(SMALL, GONE, 1, 4)  # goes into a new segment, over the blocks of the evicted ones
        store(gateway, late)
        dcmtk.storescu(gateway.address, kept, HOSPITAL, folder)
        other = replace(late[0], dataset=late[0].dataset[:-2] + b"\7\7")
        store(gateway, [other])  # held apart: a conflict
        gateway.wait_published()
        paths = [*sent, *written(late, folder / "late")]
        hunt = Hunt(canaries(paths, GONE) - canaries(kept, KEPT))  # what names both names the hospital
        before = found_in(gateway, hunt)
        (study,) = gateway.json("find", "study", "-k", "PatientID", "-k", "ModalitiesInStudy=CT")
        with Client(gateway.address, HOSPITAL, [(SMALL.sop_class_uid, [wire.EXPLICIT])]) as idle:
            (one,) = series(SMALL, KEPT, 1, 5)
            idle.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
            report = gateway.json("keys", "shred", *WHO, "--yes")
        gateway.wait_published()
        yield Erased(gateway, folder, images, kept, hunt, before, study["PatientID"], report)


def test_the_hunt_finds_the_patient_before(erased):
    places = {place.partition("/")[0] for place in erased.before}
    assert {"catalog.sqlite", "cache"} <= {place.partition("-")[0] for place in places}
    evicted = {image.sop_instance_uid for image in erased.images}
    in_cache = (values for place, values in erased.before.items() if place.startswith("cache/"))
    assert any(value in evicted for values in in_cache for value, _form in values)
    assert any(place.startswith("cache/segments/") for place in erased.before)


def test_no_byte_of_the_patient_is_left_anywhere(erased):
    assert erased.report["complete"]
    assert found_in(erased.gateway, erased.hunt) == {}
    rows = pixel_rows(erased.images)
    assert len(rows) > SLICES // 2
    cache = [data for place, data in everything(erased.gateway) if not place.startswith("nodes/")]
    assert not [row for row in rows for data in cache if row in data]


def test_the_command_says_what_it_did_and_who_else_holds_something(erased):
    done = erased.report["erasure"]
    assert (done["instances"], done["held"]) == (SLICES + 4, 1)
    assert done["cached"] == 1  # the others were evicted before
    assert erased.report["backups_until"]
    told = " ".join(erased.report["still"])
    assert "backups of the key stores" in told
    assert not erased.hunt.find(str(erased.report).encode())
    kept = erased.gateway.json("audit", "list", "--event", "delete")
    (entry,) = (each for each in kept if each["detail"]["what"] == "shred")
    assert (len(entry["patients"]), entry["detail"]["key"]) == (1, done["key_name"])
    again = erased.gateway.json("keys", "shred", "--pseudonym", erased.pseudonym, "--yes")
    assert again["complete"]
    assert again["erasure"]["key_name"] == done["key_name"]


def test_the_hospital_finds_the_de_identified_form_only(erased, tmp_path):
    address = erased.gateway.address
    keys = ["QueryRetrieveLevel=STUDY", "PatientName", "PatientID", "StudyInstanceUID"]
    gone = dcmtk.find(address, HOSPITAL, [*keys[:2], f"PatientID={GONE.patient_id}"], tmp_path / "1")
    assert gone == []
    by_pseudonym = [keys[0], "StudyInstanceUID", f"PatientID={erased.pseudonym}"]
    hospital = dcmtk.find(address, HOSPITAL, by_pseudonym, tmp_path / "2")
    research = dcmtk.find(address, RESEARCH, by_pseudonym, tmp_path / "3")
    assert len(hospital) == len(research) > 0
    original = [keys[0], f"StudyInstanceUID={erased.images[0].study_uid}"]
    assert dcmtk.get(address, HOSPITAL, original, tmp_path / "4") == []


def test_research_still_gets_both_de_identified(erased, tmp_path):
    address = erased.gateway.address
    found = dcmtk.find(address, RESEARCH, ["QueryRetrieveLevel=STUDY", "StudyInstanceUID"], tmp_path / "f")
    got = [
        path
        for number, study in enumerate(found)
        for path in dcmtk.get(
            address,
            RESEARCH,
            ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study.StudyInstanceUID}"],
            tmp_path / f"g{number}",
        )
    ]
    assert len(got) == SLICES + 4 + 5
    assert not [path for path in got if erased.hunt.find(path.read_bytes())]


def test_the_other_patient_comes_back_byte_for_byte(erased, tmp_path):
    erased.gateway.cli("cache", "evict", "--all")
    study = dcmread(erased.kept[0]).StudyInstanceUID
    keys = ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}"]
    got = dcmtk.get(erased.gateway.address, HOSPITAL, keys, tmp_path / "kept")
    sent = {dcmtk.dataset_bytes(path) for path in erased.kept}
    assert sent <= {dcmtk.dataset_bytes(path) for path in got}


def test_the_wrapping_key_is_rotated_while_images_are_published(erased, tmp_path):
    gateway = erased.gateway
    old = (gateway.home / "keys" / "kek").read_text()
    batches = [series(SMALL, person, 2, seed) for seed in range(50, 54) for person in PEOPLE[1:]]
    for batch in batches:
        store(gateway, batch)
        assert gateway.json("keys", "rotate")["retired"]
    gateway.wait_published()
    gateway.cli("cache", "evict", "--all")
    assert old.strip() not in (gateway.home / "keys" / "kek").read_text()
    for number, batch in enumerate(batches):
        keys = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={batch[0].study_uid}"]
        keys.append(f"SeriesInstanceUID={batch[0].series_uid}")
        got = dcmtk.get(gateway.address, HOSPITAL, keys, tmp_path / str(number))
        assert {dcmtk.dataset_bytes(path) for path in got} == {image.dataset for image in batch}
    assert gateway.cli("keys", "status").returncode == 0


def test_a_new_examination_is_kept_published_and_given_back(erased, tmp_path):
    """Whoever comes back after an erasure is a patient like any other; what was destroyed stays so."""
    gateway = erased.gateway
    new = series(SMALL, GONE, 2, 77)
    store(gateway, new)
    gateway.wait_published()
    gateway.cli("cache", "evict", "--all")
    keys = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={new[0].study_uid}"]
    got = dcmtk.get(
        gateway.address, HOSPITAL, [*keys, f"SeriesInstanceUID={new[0].series_uid}"], tmp_path / "new"
    )
    assert {dcmtk.dataset_bytes(path) for path in got} == {image.dataset for image in new}
    report = gateway.json("keys", "shred", *WHO, "--yes")
    assert report["complete"]
    assert report["erasure"]["key_name"].endswith("-2")
    asked = {GONE.patient_id, erased.images[0].study_uid}  # after the first erasure; the trail keeps it
    found = {value for values in found_in(gateway, erased.hunt).values() for value, _form in values}
    assert found <= asked
    names = [sorted(FolderVault(path).names()) for path in sorted((gateway.home / "keys").glob("store-*"))]
    assert names[0] == names[1]
