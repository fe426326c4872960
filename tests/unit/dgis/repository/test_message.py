"""Every event of the trail as a message: valid by the standard's schema, and with what its table asks for."""

import base64
import copy
import re
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from lxml import etree

from catalog.audit.chain import Head
from catalog.audit.seal import SealedHead, seal, signing_key
from catalog.audit.values import Entry, Event, Happening, Outcome
from dgis.repository.kinds import KINDS, Shape
from dgis.repository.message import Source, head_message, messages

SCHEMA = etree.RelaxNG(etree.parse(str(Path(__file__).with_name("audit_message.rng"))))
SOURCE = Source("gw1.hospital.example", "Demo Hospital", "DGIS")
WHO = "WS_1 <dr.no@urn:idp>"
CT = "1.2.840.10008.5.1.4.1.1.2"
ASKED = {
    "root": "study",
    "level": "STUDY",
    "keys": {"PatientName": ["MÜLLER*"], "StudyInstanceUID": ["1.2.3", "1.2.4"], "StudyDate": ["2026-"]},
}
DETAILS = {
    Event.QUERY: {"matches": 3, "query": ASKED},
    Event.TRANSFER: {"studies": [{"patient": "p1", "study": "2.25.1", "classes": {CT: 7}}]},
    Event.RELEASE: {"studies": [{"patient": "p1", "study": "2.25.1"}, {"patient": "p2", "study": "2.25.2"}]},
}


def entry(event, what="", *, outcome=Outcome.SUCCESS, caller=WHO, patients=(), **more):
    key = "how" if event is Event.RELEASE else "what"
    detail = {**DETAILS.get(event, {}), **({key: what} if what else {}), **more}
    happening = Happening(event, caller, outcome, "192.0.2.7", patients=patients, detail=detail)
    return Entry("gateway-1/dicom", 12, 1_795_000_000_123, happening, bytes(range(32)))


def made(of):
    """The messages of an entry, parsed, each valid."""
    found = [etree.fromstring(body) for body in messages(SOURCE, of)]
    for message in found:
        SCHEMA.assertValid(message)
    return found


def only(of):
    (message,) = made(of)
    return message


def event_of(message):
    event = message.find("EventIdentification")
    codes = [each.get("csd-code") for each in event if each.tag in {"EventID", "EventTypeCode"}]
    return event.get("EventActionCode"), *codes


def roles(message):
    return [
        (each.get("UserID"), each.get("UserIsRequestor"), *(role.get("csd-code") for role in each))
        for each in message.findall("ActiveParticipant")
    ]


def objects(message):
    """Identifier by type code."""
    found = {}
    for each in message.findall("ParticipantObjectIdentification"):
        code = each.find("ParticipantObjectIDTypeCode").get("csd-code")
        found.setdefault(code, []).append(each.get("ParticipantObjectID"))
    return found


def details(message):
    found = message.iter("ParticipantObjectDetail")
    return {each.get("type"): base64.b64decode(each.get("value")).decode() for each in found}


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize(("event", "what"), KINDS)
def test_every_kind_is_valid_and_says_by_whom_when_and_with_what_outcome(event, what, outcome):
    for message in made(entry(event, what, outcome=outcome, patients=("p1", "p2"))):
        identification = message.find("EventIdentification")
        assert identification.get("EventDateTime") == "2026-11-18T11:06:40.123Z"
        assert identification.get("EventOutcomeIndicator") == str(int(outcome))
        source = message.find("AuditSourceIdentification")
        assert (source.get("AuditSourceID"), source.get("AuditEnterpriseSiteID")) == (
            "gateway-1/dicom",
            "Demo Hospital",
        )
        assert any(user in {WHO, "gateway-1/dicom"} for user, *_ in roles(message))
        assert details(message)["digest"] == bytes(range(32)).hex()
        assert "audit:gateway-1/dicom/12" in objects(message)["12"]


def test_every_event_of_the_trail_has_its_kind():
    assert {event for event, _what in KINDS} == set(Event)


@pytest.mark.parametrize(
    ("of", "codes"),
    [
        (entry(Event.ACTIVITY, "start"), ("E", "110100", "110120")),
        (entry(Event.ACTIVITY, "stop"), ("E", "110100", "110121")),
        (entry(Event.ASSOCIATION), ("E", "110114", "110122")),
        (entry(Event.ASSOCIATION, outcome=Outcome.MINOR_FAILURE), ("E", "110113", "110126")),
        (entry(Event.STORE), ("C", "110104")),
        (entry(Event.STORE, outcome=Outcome.MINOR_FAILURE, status="0xA700"), ("C", "110104")),
        (entry(Event.STORE, outcome=Outcome.MINOR_FAILURE, status="0x0124"), ("E", "110113", "110132")),
        (entry(Event.QUERY), ("E", "110112")),
        (entry(Event.TRANSFER), ("R", "110104")),
        (entry(Event.RELEASE, "find", patients=("p1",)), ("R", "110103")),
        (entry(Event.RELEASE, "retrieve", patients=("p1",)), ("E", "110102")),
        (entry(Event.PUBLISH), ("R", "110106")),
        (entry(Event.GRANT), ("E", "110113", "110135")),
        (entry(Event.CONFIGURATION), ("E", "110113", "110129")),
        (entry(Event.ACCOUNT), ("E", "110113", "110137")),
        (entry(Event.CREDENTIAL), ("E", "110114", "110122")),
        (entry(Event.KEYS, "rotate"), ("E", "110113", "110129")),
        (entry(Event.DELETE, "shred", patients=("p1",)), ("D", "110105")),
        (entry(Event.TRAIL), ("R", "110101")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value.happening.event.value,
)
def test_event_codes_are_those_of_the_standard(of, codes):
    """PS3.15 A.5.3, by its tables."""
    assert event_of(only(of)) == codes


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (entry(Event.STORE), [(WHO, "true", "110153"), ("gateway-1/dicom", "false", "110152")]),
        (entry(Event.QUERY), [(WHO, "true", "110153"), ("gateway-1/dicom", "false", "110152")]),
        (entry(Event.TRANSFER), [("gateway-1/dicom", "false", "110153"), (WHO, "true", "110152")]),
        (
            entry(Event.RELEASE, "retrieve", receiver="WS_2 <@gateway-1>", patients=("p1",)),
            [
                ("gateway-1/dicom", "false", "110153"),
                ("WS_2 <@gateway-1>", "false", "110152"),
                (WHO, "true"),
            ],
        ),
        (entry(Event.ACTIVITY, "start", caller=""), [("gateway-1/dicom", "false", "110150")]),
        (entry(Event.CONFIGURATION), [("gateway-1/dicom", "true"), (WHO, "false")]),
    ],
    ids=lambda value: value.happening.event.value if isinstance(value, Entry) else "",
)
def test_participants_have_the_roles_of_the_standard(of, expected):
    assert roles(only(of)) == expected


def test_a_query_is_the_data_set_that_was_asked():
    message = only(entry(Event.QUERY))
    (query,) = message.iter("ParticipantObjectQuery")
    asked = pydicom.dcmread(BytesIO(base64.b64decode(query.text)), force=True)
    assert details(message)["TransferSyntax"] == pydicom.uid.ExplicitVRLittleEndian
    assert objects(message)["110181"] == ["1.2.840.10008.5.1.4.1.2.2.1"]
    assert (asked.QueryRetrieveLevel, asked.PatientName, asked.StudyDate) == ("STUDY", "MÜLLER*", "2026-")
    assert asked.StudyInstanceUID == ["1.2.3", "1.2.4"]


def test_what_speaks_of_one_patient_only_is_one_message_for_each():
    """PS3.15 A.5.3.6: may only include information about a single patient."""
    both = made(entry(Event.RELEASE, "find", patients=("p1", "p2")))
    assert [(objects(each)["2"], objects(each)["110180"]) for each in both] == [
        (["p1"], ["2.25.1"]),
        (["p2"], ["2.25.2"]),
    ]


def test_studies_that_were_sent_are_named_with_their_classes():
    message = only(entry(Event.TRANSFER))
    assert objects(message)["110180"] == ["2.25.1"]
    (described,) = message.iter("SOPClass")
    assert (described.get("UID"), described.get("NumberOfInstances")) == (CT, "7")


def test_a_failure_says_why_in_words():
    message = only(entry(Event.ASSOCIATION, outcome=Outcome.MINOR_FAILURE, words="rejected: too many"))
    assert message.findtext(".//EventOutcomeDescription") == "rejected: too many"
    assert details(message)["Alert Description"] == "rejected: too many"


def test_the_same_entry_gives_the_same_bytes():
    of = entry(Event.TRANSFER, patients=("p1",))
    assert list(messages(SOURCE, of)) == list(messages(SOURCE, copy.deepcopy(of)))


@pytest.mark.parametrize("said", ['<&">]]>', "nul\0bell\x07\r\nline\x85\ud800￾", "x" * 100_000, "名前 Ü"])
def test_what_peers_say_never_breaks_a_message(said):
    hostile = {**ASKED, "keys": {"PatientName": [said] * 20, "Rows": [said], "NoSuch": [said]}}
    detail = {"query": hostile, "words": said, "studies": [{"study": said, "classes": {said: 1}}]}
    of = entry(Event.QUERY, outcome=Outcome.MINOR_FAILURE, caller=said, patients=(said,), **detail)
    for body in messages(SOURCE, of):
        assert len(body) < 32_768
        assert not re.search(rb"[\x00-\x1f\x7f]", body)  # receivers rewrite them
    message = only(of)
    assert message.findtext(".//EventOutcomeDescription").startswith(said[:5].replace("\0", "\ufffd"))


def test_a_large_entry_stays_a_message_that_receivers_take():
    """PS3.15 A.6: receivers support 32,768 octets at least."""
    keys = {
        "PatientName": ["n" * 128] * 20,
        "StudyDescription": ["d" * 128] * 20,
        "PatientID": ["i" * 128] * 20,
    }
    studies = [{"study": f"2.25.{number:039}", "classes": {CT: 1}} for number in range(1000)]
    of = entry(
        Event.QUERY, query={**ASKED, "keys": keys}, studies=studies, **{f"n{n}": "v" * 999 for n in range(9)}
    )
    assert len(objects(only(of))["110180"]) == 20
    assert details(only(of))["left_out"]
    assert all(len(body) < 32_768 for body in messages(SOURCE, of))


def test_a_signed_head_goes_along_whole():
    key = signing_key(bytes(32))
    sealed = SealedHead(Head("gateway-1/dicom", 12, bytes(range(32))), 1_795_000_000_123)
    document = seal(key, sealed)
    message = etree.fromstring(head_message(SOURCE, sealed, document))
    SCHEMA.assertValid(message)
    assert event_of(message) == ("E", "TRAIL-HEAD")
    assert details(message)["document"] == document.decode()


def broken(change):
    message = only(entry(Event.QUERY))
    change(message)
    return message


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.remove(
            message.find("ActiveParticipant").getparent().find("EventIdentification")
        ),
        lambda message: message.find("EventIdentification").set("EventDateTime", "yesterday"),
        lambda message: message.find("EventIdentification").set("EventOutcomeIndicator", "5"),
        lambda message: message.find(".//EventID").attrib.pop("originalText"),
        lambda message: message.find(".//ParticipantObjectDetail").set("value", "not base64!"),
        lambda message: message.append(etree.Element("Further")),
        lambda message: message.find("ActiveParticipant").attrib.pop("UserID"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change):
    assert not SCHEMA.validate(broken(change))


def test_shapes_are_all_used():
    assert {kind.shape for kind in KINDS.values()} == set(Shape)


def test_a_deletion_by_retention_names_the_study_it_was_of():
    studies = [{"patient": "p1", "study": "2.25.1"}]
    message = only(entry(Event.DELETE, "retention", patients=("p1",), studies=studies, keep_days=30))
    assert event_of(message)[0] == "D"
    assert "2.25.1" in etree.tostring(message, encoding="unicode")
