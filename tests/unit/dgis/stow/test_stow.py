"""STOW-RS as PS3.18 10.5 asks, through the application, over a real receive log."""

import asyncio
import struct
import tracemalloc
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace

import httpx
import pytest
import structlog

from catalog.callers import Assertions, Right
from catalog.credentials.values import Verified
from dgis.cache.extent import open_extent
from dgis.cache.log import Limits as LogLimits
from dgis.cache.log import ReceiveLog
from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from dgis.keeping import Keeper
from dgis.stow.routes import routes
from dgis.stow.storing import StoreLimits, Storing
from dgis.web.application import application
from dgis.web.limits import Limits
from storage_nodes.record.part10 import file_head
from tests.tools.stow import FAILED, KEPT, OTHER, REASON, RELATED, RETRIEVE_URL, body, file_of, uids

SMALL = replace(kinds.PET, scanner=replace(anatomy.PET, rows=16))
ONE, TWO, THREE = phantoms.series(SMALL, PEOPLE[0], 3)
(OTHERS,) = phantoms.series(SMALL, PEOPLE[1], 1)
DICOM = "application/dicom"
JPIP = "1.2.840.10008.1.2.4.94"


TIGHT = StoreLimits(instance_bytes=1 << 20)


class Notes:
    """A recorder and accounts in one."""

    def __init__(self):
        self.happenings, self.counts = [], []

    def add(self, *what):
        (self.counts if len(what) > 1 else self.happenings).extend(what)


class Login:
    may = frozenset({Right.STORE})

    async def admit(self):
        return Verified("ct1", Assertions(user="ct1", institution="Demo Hospital"), self.may)


class House:
    def __init__(self, home, limits=TIGHT, body_bytes=8 << 20):
        self.log = ReceiveLog.open(home, LogLimits(1 << 30, 0, segment_bytes=16 << 20, max_spares=0))
        self.notes, self.login = Notes(), Login()
        self.storing = Storing(self.log, Keeper(lambda: 1), self.notes, self.notes, limits)
        self.refused = []
        self.app = application(
            [routes(self.storing, self.login, None)],
            Limits(store_bytes=body_bytes),
            lambda _address, reason: self.refused.append(reason),
        )

    def post(self, content, kind=RELATED, study="", **headers):
        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://grid.example") as client:
                return await client.post(
                    f"/dicom-web/studies{study and '/' + study}",
                    content=content,
                    headers={"content-type": kind, **headers},
                )

        return asyncio.run(ask())

    def kept(self):
        """What became durable since the last look: SOP Instance UID and data set."""
        found = self.log.backlog.take(1000)
        said = []
        for each in found:
            with open_extent(self.log.files.path(each.location.segment_id), each.location) as extent:
                said.append((each.meta.sop_instance_uid, b"".join(extent.chunks())))
        self.log.backlog.done(found)
        return said


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.log.close()
    house.log.backlog.close()


def test_instances_are_kept_byte_for_byte_and_named_in_the_answer(house):
    answer = house.post(body(file_of(ONE), file_of(TWO)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    said = answer.json()
    study = f"http://grid.example/dicom-web/studies/{ONE.study_uid}"
    assert said[RETRIEVE_URL] == {"vr": "UR", "Value": [study]}
    assert uids(said, KEPT) == [ONE.sop_instance_uid, TWO.sop_instance_uid]
    assert uids(said, KEPT, RETRIEVE_URL)[0] == (
        f"{study}/series/{ONE.series_uid}/instances/{ONE.sop_instance_uid}"
    )
    assert FAILED not in said
    assert OTHER not in said
    assert house.kept() == [(one.sop_instance_uid, one.dataset) for one in (ONE, TWO)]


def test_one_file_needs_no_parts(house):
    assert house.post(file_of(ONE), DICOM).status_code == 200
    assert house.kept() == [(ONE.sop_instance_uid, ONE.dataset)]


def test_pieces_of_any_size_are_the_same(house):
    whole = body(file_of(ONE), file_of(TWO))

    async def pieces(size):
        for start in range(0, len(whole), size):
            yield whole[start : start + size]

    for size in (61, 700):
        assert house.post(pieces(size)).status_code == 200
        assert house.kept() == [(one.sop_instance_uid, one.dataset) for one in (ONE, TWO)]


def test_the_trail_and_the_metadata_say_who_stored(house):
    house.post(body(file_of(ONE), file_of(TWO)))
    (stored,) = house.notes.happenings
    assert (stored.caller, stored.count) == ("ct1 <ct1@>", 2)
    (found, _other) = house.log.backlog.take(10)
    assert found.meta.assertions == {"user": "ct1", "institution": "Demo Hospital"}


def test_a_request_that_ended_well_is_a_sender_that_is_done(house):
    house.post(body(file_of(ONE), file_of(TWO)))
    found = house.log.backlog.take(10)
    house.log.backlog.done(found)
    (release,) = house.log.backlog.finished_associations()
    assert release.released


def test_of_another_study_than_the_path_names_none_is_kept(house):
    answer = house.post(body(file_of(ONE), file_of(OTHERS)), study=ONE.study_uid)
    said = answer.json()
    assert answer.status_code == 202
    assert uids(said, KEPT) == [ONE.sop_instance_uid]
    assert uids(said, FAILED) == [OTHERS.sop_instance_uid]
    assert uids(said, FAILED, REASON) == [0xA900]
    assert house.kept() == [(ONE.sop_instance_uid, ONE.dataset)]
    assert [each.detail["status"] for each in house.notes.happenings if "status" in each.detail] == ["0xA900"]


def altered(instance, **changes):
    """A file whose meta information says something else than its data set."""
    said = {
        "sop_class_uid": instance.sop_class_uid,
        "sop_instance_uid": instance.sop_instance_uid,
        "transfer_syntax": instance.transfer_syntax,
        **changes,
    }
    return file_head(**said) + instance.dataset


def bomb():
    """A deflated data set whose header inflates without end."""
    head = file_head(ONE.sop_class_uid, ONE.sop_instance_uid, "1.2.840.10008.1.2.1.99")
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    start = struct.pack("<HH2sHI", 0x0008, 0x0005, b"UN", 0, 1 << 30)
    return head + deflater.compress(start + bytes(20 << 20)) + deflater.flush()


FAILURES = {
    "no file": (lambda: b"hello", OTHER, 0xC000),
    "nothing": (lambda: b"", OTHER, 0xC000),
    "a data set alone": (lambda: ONE.dataset, OTHER, 0xC000),
    "no storage class": (lambda: altered(ONE, sop_class_uid="1.2.840.10008.1.1"), FAILED, 0x0122),
    "another class than the data set's": (
        lambda: altered(ONE, sop_class_uid="1.2.840.10008.5.1.4.1.1.2"),
        FAILED,
        0xA900,
    ),
    "another UID than the data set's": (lambda: altered(ONE, sop_instance_uid="1.2.3"), FAILED, 0xA900),
    "no UID": (lambda: altered(ONE, sop_instance_uid="one"), OTHER, 0x0117),
    "pixels elsewhere": (lambda: altered(ONE, transfer_syntax=JPIP), FAILED, 0xC000),
    "a header that breaks off": (lambda: file_of(ONE)[:500], FAILED, 0xC000),
    "file meta without end": (
        lambda: bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0x102, b"OB", 0, 90_000) + bytes(90_000),
        OTHER,
        0xC000,
    ),
    "too long": (lambda: file_of(ONE) + bytes(1 << 20), FAILED, 0x0213),
    "a bomb": (bomb, FAILED, 0xC000),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_kept_is_said_and_hinders_no_other(house, case):
    make, sequence, reason = FAILURES[case]
    alone = house.post(body(make()))
    assert (alone.status_code, uids(alone.json(), sequence, REASON)) == (409, [reason])
    among = house.post(body(file_of(ONE), make(), file_of(TWO)))
    assert (among.status_code, uids(among.json(), sequence, REASON)) == (202, [reason])
    assert uids(among.json(), KEPT) == [ONE.sop_instance_uid, TWO.sop_instance_uid]
    assert [uid for uid, _data in house.kept()] == [ONE.sop_instance_uid, TWO.sop_instance_uid]
    assert house.storing.budget.take(64 << 20)  # nothing is held back
    assert not house.storing.slots._taken


def test_a_part_of_another_kind_is_refused_alone(house):
    answer = house.post(body(b"{}", file_of(ONE)).replace(b"application/dicom", b"application/json", 1))
    assert (answer.status_code, uids(answer.json(), OTHER, REASON)) == (202, [0xC000])


def test_a_wrong_group_length_does_not_move_the_data_set(house):
    file = bytearray(file_of(ONE))
    for length in (0, 20, 1 << 20):
        file[140:144] = length.to_bytes(4, "little")
        assert house.post(bytes(file), DICOM).status_code == 200
        assert house.kept() == [(ONE.sop_instance_uid, ONE.dataset)]


REQUESTS = {
    "JSON": (b"[]", "application/dicom+json", {}, 415),
    "XML": (b"<a/>", 'multipart/related; type="application/dicom+xml"; boundary=a', {}, 415),
    "no kind at all": (b"", "", {}, 415),
    "a form": (b"", "multipart/form-data; boundary=a", {}, 415),
    "gzip": (b"", RELATED, {"content-encoding": "gzip"}, 415),
    "no boundary": (b"", 'multipart/related; type="application/dicom"', {}, 400),
    "another boundary": (body(file_of(ONE)), RELATED + "x", {}, 400),
    "no part": (body(), RELATED, {}, 400),
    "no end": (body(file_of(ONE))[:-30], RELATED, {}, 400),
    "nested": (body(b"x").replace(DICOM.encode(), b"multipart/mixed; boundary=b"), RELATED, {}, 400),
    "another answer": (body(file_of(ONE)), RELATED, {"accept": "text/html"}, 406),
    "too long": (bytes(9 << 20), RELATED, {}, 413),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_is_none_gets_a_problem_and_keeps_nothing(house, case):
    content, kind, headers, status = REQUESTS[case]
    answer = house.post(content, kind, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert house.kept() == []
    assert len(house.refused) == 1
    assert not house.storing.slots._taken


def test_what_came_whole_before_a_body_breaks_off_is_kept_and_said(house):
    answer = house.post(body(file_of(ONE), file_of(TWO))[:-40])
    assert answer.status_code == 202
    assert uids(answer.json(), KEPT) == [ONE.sop_instance_uid]
    assert uids(answer.json(), FAILED) == [TWO.sop_instance_uid]
    assert house.kept() == [(ONE.sop_instance_uid, ONE.dataset)]


def test_who_may_not_store_is_refused_before_the_body_is_read(house):
    house.login.may = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})

    async def never():
        raise AssertionError("the body was read")
        yield b""

    assert house.post(never()).json()["reason"] == "may_not_store"


def test_too_many_at_once_are_told_to_come_again(tmp_path):
    house = House(tmp_path, StoreLimits(at_once=2))
    with house.storing.slots.take("ct1") as free:
        assert free
        answer = house.post(body(file_of(ONE)))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        with house.storing.slots.take("somebody else") as another:
            assert another
    assert house.post(body(file_of(ONE))).status_code == 200


def test_without_space_it_is_503_and_nothing_is_kept(house):
    house.log.space.max_bytes = 0
    answer = house.post(body(file_of(ONE)))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert uids(answer.json(), FAILED, REASON) == [0xA700]
    assert house.kept() == []
    house.log.space.max_bytes = 1 << 30
    assert house.post(body(file_of(ONE))).status_code == 200


def test_the_answer_is_xml_for_who_asks_for_it(house):
    kind = "application/dicom+xml"
    answer = house.post(body(file_of(ONE), b"x"), accept=f"{kind}, application/dicom+json;q=0.5")
    assert answer.headers["content-type"] == kind
    root = ET.fromstring(answer.text)
    assert root.tag == "NativeDicomModel"
    found = {each.get("keyword"): each for each in root}
    kept = found["ReferencedSOPSequence"].find("Item/DicomAttribute[@tag='00081155']/Value")
    assert kept.text == ONE.sop_instance_uid
    assert found["OtherFailuresSequence"].find("Item/DicomAttribute/Value").text == str(0xC000)


def test_a_long_instance_takes_little_memory(tmp_path):
    house = House(tmp_path, StoreLimits(), 1 << 30)
    head, count = file_of(ONE), 96

    async def pieces():
        yield head
        for _ in range(count):
            yield bytes(1 << 20)

    tracemalloc.start()
    assert house.post(pieces(), DICOM).status_code == 200
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20
    ((_uid, data),) = house.kept()
    assert len(data) == len(ONE.dataset) + (count << 20)


def test_many_parts_of_nothing_take_little_memory(house):
    tracemalloc.start()
    answer = house.post(body(*[b"x"] * 1000))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(uids(answer.json(), OTHER, REASON)) == 1000
    assert most < 6 << 20


def test_a_client_that_leaves_leaves_nothing_behind(house):
    async def leaves():
        yield body(file_of(ONE), file_of(TWO))[:-100]
        raise ConnectionError

    with structlog.testing.capture_logs():
        assert house.post(leaves()).status_code == 500
    assert [uid for uid, _data in house.kept()] in ([], [ONE.sop_instance_uid])
    assert not house.storing.slots._taken
    assert house.post(body(file_of(THREE))).status_code == 200
