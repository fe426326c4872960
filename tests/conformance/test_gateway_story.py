"""The story of the grid's paper, to the end: two institutions publish one person, and who sees what of it.

Images come and go by real associations of dcmtk; grants, links and consent are the commands people type.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.record.part10 import file_head
from tests import dcmtk
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("gateway-story"),
]

SEES = ["find", "retrieve", "phi"]
PEERS = [
    {
        "ae_title": "HOSPITAL_A",
        "assertions": {"user": "dr.no", "department": "Radiology", "institution": "Hospital A"},
        "may": ["store", *SEES],
    },
    {
        "ae_title": "CLINIC_B",
        "assertions": {"user": "dr.b", "department": "Radiology", "institution": "Clinic B"},
        "may": ["store", *SEES],
    },
    {
        "ae_title": "RESEARCH",
        "assertions": {"user": "researcher", "department": "Informatics", "institution": "University"},
        "may": SEES,  # its ceiling would let it: it is the grants that do not
    },
]
A, B, RESEARCH = (peer["ae_title"] for peer in PEERS)
ASKED = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID", "PatientName")

# One person, known to each institution by an ID of its own.
AT_A = replace(PEOPLE[1], patient_id="HOSPA-4711983")
AT_B = replace(PEOPLE[1], patient_id="CLINB-90215", accession_number="ACC90215B")


@dataclass(frozen=True)
class Published:
    """What one institution sent of the person."""

    patient_id: str
    images: tuple[phantoms.Instance, ...]

    @property
    def study(self):
        return self.images[0].study_uid

    @property
    def typed(self):
        """The patient as an operator names it."""
        return f"{self.patient_id}^^^DEMO"

    @property
    def digests(self):
        return sorted(sha256(one.dataset).hexdigest() for one in self.images)


OF_A = Published(AT_A.patient_id, tuple(phantoms.series(kinds.CT, AT_A, 3)))
OF_B = Published(AT_B.patient_id, tuple(phantoms.series(kinds.MR, AT_B, 3)))


class Story:
    """The gateway, and what each caller can have of it at the moment."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway = gateway
        self._folders = (folder / str(number) for number in count())

    def send(self, title, published):
        folder = next(self._folders)
        folder.mkdir()
        for number, one in enumerate(published.images):
            head = file_head(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax)
            (folder / f"{number}.dcm").write_bytes(head + one.dataset)
        dcmtk.run("storescu", "-aet", title, "-aec", "DGIS", *self.gateway.address, "+sd", folder)

    def found(self, title):
        """{study UID: Patient ID} of what a caller finds; no study twice."""
        answers = dcmtk.find(self.gateway.address, title, ASKED, next(self._folders))
        found = {str(one.StudyInstanceUID): str(one.PatientID) for one in answers}
        assert len(found) == len(answers)
        return found

    def got(self, title, study):
        """The digests of what a caller retrieves of a study."""
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}")
        paths = dcmtk.get(self.gateway.address, title, keys, next(self._folders), "+xe")
        return sorted(sha256(dcmtk.dataset_bytes(path)).hexdigest() for path in paths)

    def opened(self, title):
        """Which institution's identifiers and original bytes a caller has; the ways to ask agree on it."""
        found, got = self.look(title)
        for study in set(found) - {OF_A.study, OF_B.study}:
            assert len(self.got(title, study)) == 3  # the de-identified form is everybody's
        return opened_by(found, got)

    def look(self, title):
        """What a caller finds, and what it retrieves by the original UIDs."""
        return self.found(title), {each.study: self.got(title, each.study) for each in (OF_A, OF_B)}

    def explained(self, title, study):
        """What `dgis explain` says of retrieving originals; its exit code says the same."""
        caller = ("--caller", f"{title}@127.0.0.1", "--study", study, "--operation", "retrieve", "--original")
        done = self.gateway.cli("explain", *caller, "--json", check=False)
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["granted"] else 1)
        return told

    def lend(self, *terms):
        """B lends Dr. No of Hospital A what it has of the person; None where that would be over already."""
        who = ("--user", "dr.no", "--institution", "Hospital A", "--may", ",".join(SEES))
        why = ("--reason", "second opinion", "--by", "Dr. B")
        command = ("grant", "add", *who, *why, "--patient", OF_B.typed, *terms, "--json")
        done = self.gateway.cli(*command, check=not terms)
        assert done.returncode == 0 or "over already" in done.stderr
        return json.loads(done.stdout)[0]["id"] if done.returncode == 0 else None

    def acts(self):
        """What was done to grants and links, oldest first, with how many patients each names."""
        entries = reversed(self.gateway.json("audit", "list", "--event", "grant", "--limit", "1000"))
        by_hand = [
            entry for entry in entries if "act" in entry["detail"]
        ]  # the others are the configuration's
        return [(entry["detail"]["act"], len(entry["patients"])) for entry in by_hand]


def opened_by(found, got):
    """Which institution's originals these answers hold; what is found and what is retrieved must agree."""
    assert len(found) == 2  # each study once: as an original, or in its de-identified form
    opened = set()
    for name, published in (("A", OF_A), ("B", OF_B)):
        seen = found.get(published.study) == published.patient_id
        assert (published.patient_id in found.values()) is seen
        assert got[published.study] == (published.digests if seen else [])
        if seen:
            opened.add(name)
    return opened


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def story(request, tmp_path):
    dcmtk.require_dcmtk()
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with Gateway({"DGIS__DICOM__PEERS": json.dumps(PEERS)}, database_url=url) as gateway:
        yield Story(gateway, tmp_path)


def test_the_papers_story(story):
    gateway = story.gateway
    story.send(A, OF_A)
    story.send(B, OF_B)
    gateway.wait_published()
    gateway.cli("cache", "evict", "--all")  # from now on originals come out of what is sealed on the nodes

    apart = {A: {"A"}, B: {"B"}, RESEARCH: set()}
    assert {title: story.opened(title) for title in apart} == apart

    linked = gateway.json("patient", "link", OF_A.typed, OF_B.typed, "--reason", "registration, form 12")
    assert len(linked["person"]) == 2
    assert {title: story.opened(title) for title in apart} == apart  # a link opens nothing

    assert not story.explained(A, OF_B.study)["granted"]
    _lent_until_it_ends(story)
    assert story.opened(A) == {"A"}

    story.lend()
    assert story.opened(A) == {"A", "B"}
    assert "second opinion" in json.dumps(story.explained(A, OF_B.study))
    refused = gateway.json("consent", "refuse", OF_A.typed)
    assert refused["covers"] == linked["person"]  # refused under A's ID, the link closes what B has
    assert {title: story.opened(title) for title in apart} == {A: set(), B: set(), RESEARCH: set()}
    assert "consent refused" in json.dumps(story.explained(A, OF_B.study))

    gateway.json("consent", "withdraw-refusal", OF_A.typed)
    assert {title: story.opened(title) for title in apart} == {**apart, A: {"A", "B"}}

    acts = story.acts()
    assert acts[0] == ("link", 2)
    assert acts[-3:] == [("grant", 1), ("refuse", 1), ("withdraw-refusal", 1)]
    assert gateway.json("audit", "verify")["findings"] == []
    names = [AT_A.patient_id, AT_B.patient_id, AT_A.name.split("^")[0], OF_A.study, OF_B.study]
    assert not Hunt(names).find(gateway.log().encode())


def _lent_until_it_ends(story):
    """B lends for a while: open while it lasts, closed when it is over.

    Where looking took longer than the grant lasted nothing was seen, and it is lent once more for longer.
    """
    for seconds in (20, 120, 600):
        ends_s = int(time.time()) + seconds
        grant_id = story.lend("--until", datetime.fromtimestamp(ends_s, UTC).isoformat())
        seen = story.look(A)
        research = story.look(RESEARCH)
        if time.time() < ends_s:
            break
    else:
        pytest.fail("looking takes longer than any of the grants lasted")
    assert grant_id is not None
    assert opened_by(*seen) == {"A", "B"}
    assert opened_by(*research) == set()  # it was lent to Dr. No, and to nobody else
    ended = ("grant", "list", "--patient", OF_B.typed, "--all")
    wait_until(
        lambda: {one["id"]: one["state"] for one in story.gateway.json(*ended)}[grant_id] == "ended",
        700,
        "the grant has ended",
    )
