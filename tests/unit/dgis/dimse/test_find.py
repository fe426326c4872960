import warnings
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from catalog.matching import parse
from catalog.query import Level, Root
from dgis.dimse.client import associate
from dgis.dimse.commands import Command
from dgis.dimse.proposal import ProposedContext
from dgis.dimse.requestor import Party, Proposal, Terms
from dgis.dimse.services import Note
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.unit.dgis.dimse.fakes import SLOW_ENOUGH, Archive, FakeMatch, serving
from tests.unit.dgis.dimse.parrot import command, parrot, pdata

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"


def identifier(level: str = "STUDY", **keys: object) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the rules are a subject here
        for keyword, value in keys.items():
            setattr(made, keyword, value)
    return made


def encoded(made: Dataset, syntax: str) -> bytes:
    deflated = syntax == DEFLATED_LE
    return encode(made, syntax == IMPLICIT_LE, syntax != EXPLICIT_BE, deflated)


def decoded(data: bytes, syntax: str) -> Dataset:
    header = b"\0" * 128 + b"DICM" + b"\2\0\x10\0UI" + (len(syntax) + len(syntax) % 2).to_bytes(2, "little")
    return dcmread(BytesIO(header + syntax.encode() + b"\0" * (len(syntax) % 2) + data), force=True)


def find(archive, made, syntax=EXPLICIT_LE, sop_class=STUDY_FIND, extended=None):
    """The statuses and decoded identifiers of every response, and the query the archive got."""
    with serving(archive) as port:
        party = Party("127.0.0.1", port, "DGIS", "FINDER")
        terms = Terms(extended={sop_class: extended} if extended else {})
        with associate(party, [Proposal(sop_class, (syntax,))], SLOW_ENOUGH, terms) as client:
            context = client.context(sop_class)
            data = made if isinstance(made, bytes) else encoded(made, syntax)
            answers = list(client.find(context, data))
    found = [decoded(answer.data, syntax) for answer in answers if answer.data is not None]
    return [answer.status for answer in answers], found, answers[-1].command


@pytest.fixture
def archive():
    made = Archive()

    def matches(query):
        parse(query)
        for number in range(3):
            yield FakeMatch(
                {
                    "PatientName": f"Müller^{number}^=山田^太郎",
                    "StudyInstanceUID": f"1.2.{number}",
                    "ModalitiesInStudy": ("CT", "MR"),
                    "NumberOfStudyRelatedInstances": number,
                    "StudyDate": "",
                }
            )

    made.matches = matches
    return made


KEYS = {
    "PatientName": "M*",
    "StudyInstanceUID": "",
    "ModalitiesInStudy": "",
    "NumberOfStudyRelatedInstances": "",
    "StudyDate": "20200101-",
}


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_matches_come_back_in_the_syntax_of_the_context(archive, syntax):
    statuses, found, _ = find(archive, identifier(**KEYS), syntax)
    assert statuses == [0xFF00] * 3 + [0]
    assert [str(match.PatientName) for match in found] == [
        f"Müller^{number}^=山田^太郎" for number in range(3)
    ]
    first = found[0]
    assert first.SpecificCharacterSet == "ISO_IR 192"
    assert (first.QueryRetrieveLevel, first.RetrieveAETitle, first.InstanceAvailability) == (
        "STUDY",
        "DGIS",
        "ONLINE",
    )
    assert list(first.ModalitiesInStudy) == ["CT", "MR"]
    assert first.NumberOfStudyRelatedInstances == 0
    assert first.StudyDate == ""
    assert [element.tag for element in first] == sorted(element.tag for element in first)


def test_ascii_answers_name_no_character_set(archive):
    archive.matches = lambda _query: iter([FakeMatch({"PatientID": "1", "Rows": 7, "PatientName": None})])
    _, found, _ = find(archive, identifier("IMAGE", PatientID="", Rows=None, PatientName=""))
    assert "SpecificCharacterSet" not in found[0]
    assert (found[0].Rows, found[0].PatientID, found[0].PatientName) == (7, "1", "")


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_the_query_holds_the_keys_as_text(archive, syntax):
    made = identifier("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID=["1.4", "1.5"])
    made.SpecificCharacterSet = "ISO_IR 100"
    made.PatientName = "Müller*"
    made.Rows = 512
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    find(archive, made, syntax)
    query = archive.queries[0]
    assert (query.root, query.level) == (Root.STUDY, Level.IMAGE)
    assert query.key("SOPInstanceUID").values == ("1.4", "1.5")
    assert query.key("PatientName").values == ("Müller*",)
    assert query.key("Rows").values == ("512",)
    assert query.key("ImageType").values == ("ORIGINAL", "PRIMARY")
    assert query.key("SpecificCharacterSet") is None


def test_escape_sequences_in_keys_are_read(archive):
    made = identifier()
    made.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    made.PatientName = "Yamada^Tarou=山田^太郎"
    find(archive, made)
    assert archive.queries[0].key("PatientName").values == ("Yamada^Tarou=山田^太郎",)


def test_keys_nobody_supports_are_not_returned_and_the_status_says_so(archive):
    made = identifier(**KEYS, SeriesDescription="x", RequestAttributesSequence=[Dataset()])
    made.add_new(0x00091001, "LO", "private")
    statuses, found, _ = find(archive, made)
    assert statuses == [0xFF01] * 3 + [0]
    assert "SeriesDescription" not in found[0]
    assert "RequestAttributesSequence" not in found[0]
    assert archive.queries[0].key("SeriesDescription") is None


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (identifier("SERIES", SeriesInstanceUID=""), 0xA900),
        (identifier("IMAGE", StudyInstanceUID="1.2"), 0xA900),
        (identifier("PATIENT", PatientID=""), 0xA900),
        (identifier("WORKLIST"), 0xA900),
        (identifier(""), 0xA900),
        (Dataset(), 0xA900),
        (identifier(StudyDate="Canary"), 0xC001),
        (identifier(StudyInstanceUID="1.2.*"), 0xC001),
        (b"no identifier at all", 0xC001),
        (b"", 0xA900),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words_without_values(archive, made, status):
    statuses, found, final = find(archive, made)
    assert statuses == [status]
    assert not found
    assert final.comment
    assert "Canary" not in final.comment


def test_relational_queries_are_agreed_on_first(archive):
    made = identifier("SERIES", SeriesInstanceUID="")
    statuses, _, _ = find(archive, made, extended=b"\1\0\1")
    assert statuses[-1] == 0
    query = archive.queries[0]
    assert (query.relational, query.combined_datetime, query.fuzzy) == (True, False, True)


def test_patient_root_has_four_levels(archive):
    find(archive, identifier("PATIENT", PatientID=""), sop_class=PATIENT_FIND)
    assert (archive.queries[0].root, archive.queries[0].level) == (Root.PATIENT, Level.PATIENT)


def test_a_refusal_of_the_archive_is_passed_on(archive):
    archive.refusal = Refusal(Status.NOT_AUTHORIZED, "may not find")
    statuses, _, final = find(archive, identifier(**KEYS))
    assert (statuses, final.comment) == ([0x0124], "may not find")


def test_a_catalog_that_fails_midway_gives_a_status_and_no_detail(archive):
    def failing(_query):
        yield FakeMatch({"PatientName": "A"})
        raise RuntimeError("Canary")

    archive.matches = failing
    statuses, _, final = find(archive, identifier(**KEYS))
    assert statuses == [0xFF00, 0xC001]
    assert "Canary" not in final.comment


def test_a_cancel_is_honoured_between_responses(archive):
    closed = []

    def endless(_query):
        try:
            number = 0
            while True:
                number += 1
                yield FakeMatch({"StudyInstanceUID": f"1.2.{number}"})
        finally:
            closed.append(number)

    archive.matches = endless
    with (
        serving(archive) as port,
        associate(Party("127.0.0.1", port, "DGIS", "X"), [Proposal(STUDY_FIND, (EXPLICIT_LE,))]) as client,
    ):
        context = client.context(STUDY_FIND)
        statuses = []
        for answer in client.find(context, encoded(identifier(StudyInstanceUID=""), EXPLICIT_LE)):
            if not statuses:
                client.cancel(context)
            statuses.append(answer.status)
    assert statuses[-1] == 0xFE00
    assert set(statuses[:-1]) == {0xFF00}
    assert closed
    ended = [event for event in archive.events if event.note is Note.QUERY_ENDED]
    assert (ended[0].status, ended[0].counts["matches"]) == (0xFE00, len(statuses) - 1)


def test_a_peer_that_leaves_midway_lets_go_of_the_catalog(archive):
    closed = []

    def endless(_query):
        try:
            while True:
                yield FakeMatch({"StudyInstanceUID": "1.2"})
        finally:
            closed.append(True)

    archive.matches = endless
    with serving(archive) as port, parrot(port) as bird:
        bird.associate(ProposedContext(1, STUDY_FIND, (EXPLICIT_LE,)))
        asked = Command(field=0x20, sop_class=STUDY_FIND, message_id=1, priority=0, has_data_set=True)
        bird.say(command(1, asked) + pdata(1, 2, encoded(identifier(StudyInstanceUID=""), EXPLICIT_LE)))
        assert bird.hear()[0] == 4
        bird.close()
    assert closed


def test_another_request_before_the_end_aborts(archive):
    archive.matches = lambda _query: iter(lambda: FakeMatch({"StudyInstanceUID": "1.2"}), None)
    with serving(archive) as port, parrot(port) as bird:
        bird.associate(ProposedContext(1, STUDY_FIND, (EXPLICIT_LE,)))
        asked = Command(field=0x20, sop_class=STUDY_FIND, message_id=1, priority=0, has_data_set=True)
        message = command(1, asked) + pdata(1, 2, encoded(identifier(StudyInstanceUID=""), EXPLICIT_LE))
        bird.say(message + message)
        while (kind := bird.hear()[0]) == 4:
            pass
        assert kind == 7


def test_a_huge_list_of_uids_is_asked_and_a_larger_one_refused(archive):
    uids = [f"1.2.840.99999.{number}" for number in range(50_000)]
    statuses, _, _ = find(archive, identifier(StudyInstanceUID=uids), IMPLICIT_LE)
    assert statuses[-1] == 0
    assert len(archive.queries[0].key("StudyInstanceUID").values) == 50_000
    statuses, _, final = find(archive, b"\x20\0\x0d\0\0\0\x50\0" + b"1" * (5 << 20), IMPLICIT_LE)
    assert statuses == [0xA700]
    assert final.comment


@pytest.mark.parametrize("value", ["' OR 1=1--", "%", "_", "a%b_c", ".*", "[A-Z]+", "(", "\x1b$B"])
def test_values_are_passed_on_as_they_are(archive, value):
    archive.matches = lambda _query: iter(())
    statuses, _, _ = find(archive, identifier(PatientID=value))
    assert statuses == [0]
    assert len(archive.queries[0].key("PatientID").values) == 1
