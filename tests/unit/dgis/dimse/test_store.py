import errno

import pytest

from dgis.dimse.commands import Command
from dgis.dimse.proposal import ProposedContext
from dgis.dimse.services import Note, Stored
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import EXPLICIT_LE
from tests.unit.dgis.dimse.fakes import Archive, serving
from tests.unit.dgis.dimse.parrot import (
    ABORT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    RELEASE,
    command,
    data_set,
    echo_command,
    element,
    parrot,
    pdata,
    store_command,
)

UID = "1.2.3.4"


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def bird(archive):
    with serving(archive) as port, parrot(port) as peer:
        peer.associate(ECHO_CONTEXT, CT_CONTEXT)
        yield peer


def store(bird, data: bytes, asked: Command | None = None, piece_bytes: int = 100_000) -> Command:
    bird.say(command(3, asked or store_command(UID)))
    pieces = [data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes)] or [b""]
    for number, piece in enumerate(pieces):
        bird.say(pdata(3, 2 if number == len(pieces) - 1 else 0, piece))
    return bird.hear_command()


@pytest.mark.parametrize("piece_bytes", [1, 13, 1000, 131_066])
def test_bytes_arrive_as_sent_however_they_are_cut(bird, archive, piece_bytes):
    data = data_set(pixel_bytes=3_000 if piece_bytes < 100 else 500_000)
    answer = store(bird, data, piece_bytes=piece_bytes)
    assert (answer.field, answer.status, answer.sop_instance) == (0x8001, 0, UID)
    assert (answer.responded_to, answer.sop_class) == (7, CT_CONTEXT.abstract_syntax)
    kept = archive.instances[UID]
    assert kept.data == data
    assert (kept.study_uid, kept.series_uid, kept.transfer_syntax) == ("1.2.3", "1.2.3.1", EXPLICIT_LE)


def test_many_instances_and_an_echo_on_one_association(bird, archive):
    for number in range(20):
        uid = f"1.2.3.{number}"
        assert store(bird, data_set(uid), store_command(uid)).status == 0
    bird.say(command(1, echo_command(9)))
    assert bird.hear_command().responded_to == 9
    assert len(archive.instances) == 20


def test_several_values_in_one_pdu(bird, archive):
    data = data_set()
    parts = [command(3, store_command(UID))[6:], pdata(3, 0, data[:50])[6:], pdata(3, 2, data[50:])[6:]]
    body = b"".join(parts)
    bird.say(b"\4\0" + len(body).to_bytes(4, "big") + body)
    assert bird.hear_command().status == 0
    assert archive.instances[UID].data == data


def test_a_command_in_pieces(bird, archive):
    whole = command(3, store_command(UID))[12:]
    for start in range(0, len(whole), 10):
        last = start + 10 >= len(whole)
        bird.say(pdata(3, 3 if last else 1, whole[start : start + 10]))
    bird.say(pdata(3, 2, data_set()))
    assert bird.hear_command().status == 0


def test_the_move_originator_is_passed_on(bird, archive):
    store(bird, data_set(), store_command(UID, originator_ae="MOVER", originator_message_id=77))
    assert (archive.incoming[0].originator_ae, archive.incoming[0].originator_message_id) == ("MOVER", 77)


@pytest.mark.parametrize("stored", Stored)
def test_whatever_was_there_before_the_sender_hears_success(bird, archive, stored):
    archive.commit_answer = stored
    assert store(bird, data_set()).status == 0


@pytest.mark.parametrize(
    ("data", "asked", "expected"),
    [
        (data_set("1.2.3.5"), store_command(UID), (0xA900, 0x00080018)),
        (data_set(UID, "1.2.840.10008.5.1.4.1.1.4"), store_command(UID), (0xA900, 0x00080016)),
        (data_set(study=""), store_command(UID), (0xC000, 0x0020000D)),
        (data_set(series=""), store_command(UID), (0xC000, 0x0020000E)),
        (data_set(sop_instance=""), store_command(UID), (0xC000, 0x00080018)),
        (b"", store_command(UID), (0xC000, 0x00080016)),
        (bytes(4_000), store_command(UID), (0xC000, 0x00080016)),
        (data_set(), store_command("../../x"), (0x0117, 0x00001000)),
        (data_set(), store_command("/etc/passwd"), (0x0117, 0x00001000)),
        (data_set(), store_command("1.2\0.3"), (0x0117, 0x00001000)),
        (data_set(), store_command("1" * 65), (0x0117, 0x00001000)),
        (data_set(), store_command(""), (0x0117, 0x00001000)),
        (data_set(), store_command(UID, "1.2.840.10008.5.1.4.1.1.4"), (0x0122, 0x00000002)),
    ],
)
def test_refusals_name_the_element_and_the_next_image_is_taken(bird, archive, data, asked, expected):
    answer = store(bird, data, asked)
    assert (answer.status, answer.offending[0]) == expected
    assert answer.comment
    assert "Canary" not in answer.comment
    assert not archive.instances
    assert [event.status for event in archive.events if event.note is Note.STORE_REFUSED] == [expected[0]]
    assert store(bird, data_set()).status == 0


def test_a_store_without_a_data_set_is_refused(bird):
    bird.say(command(3, store_command(UID, has_data_set=False)))
    assert bird.hear_command().status == 0x0212


def test_a_data_set_that_breaks_off_after_its_uids_is_kept_as_sent(bird, archive):
    data = data_set(pixel_bytes=10_000)[:-5_000]
    assert store(bird, data).status == 0
    assert archive.instances[UID].data == data


def test_a_header_longer_than_one_piece_is_searched_on(bird, archive):
    head = element(0x00091010, b"UN", bytes(300_000))
    whole = data_set()
    cut = whole.index(b"\x10\0\x10\0")
    data = whole[:cut] + head + whole[cut:]
    assert store(bird, data, piece_bytes=16_000).status == 0
    assert archive.instances[UID].data == data


def test_a_header_without_end_is_refused_and_memory_stays_bounded(bird):
    data = data_set(study="", series="")[:40] + element(0x00091010, b"UN", bytes(12 << 20))
    assert store(bird, data).status == 0xC000


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Refusal(Status.NOT_AUTHORIZED, "not allowed to store"), 0x0124),
        (OSError(errno.ENOSPC, "full"), 0xA700),
        (RuntimeError("Canary"), 0x0110),
    ],
)
def test_what_the_archive_refuses_at_the_beginning(bird, archive, answer, status):
    archive.begin_answer = answer
    refused = store(bird, data_set(pixel_bytes=300_000))
    assert refused.status == status
    assert "Canary" not in refused.comment
    archive.begin_answer = None
    assert store(bird, data_set()).status == 0


def test_a_disk_that_fills_while_receiving_refuses_and_the_next_image_is_taken(bird, archive):
    archive.write_error = OSError(errno.ENOSPC, "full")
    assert store(bird, data_set(pixel_bytes=300_000)).status == 0xA700
    assert archive.abandoned == 1
    archive.write_error = None
    assert store(bird, data_set()).status == 0


def test_a_refusal_at_the_commit_is_passed_on_and_the_sink_is_not_asked_twice(bird, archive):
    archive.commit_answer = Refusal(Status.OUT_OF_RESOURCES, "no room")
    assert store(bird, data_set()).status == 0xA700
    assert archive.abandoned == 0


@pytest.mark.parametrize("last_word", [ABORT, RELEASE, b""])
def test_an_association_that_ends_in_the_middle_leaves_nothing(archive, last_word):
    with serving(archive) as port, parrot(port) as bird:
        bird.associate(CT_CONTEXT)
        bird.say(command(3, store_command(UID)) + pdata(3, 0, data_set()[:100]) + last_word)
        if last_word == RELEASE:
            assert bird.hear()[0] == 6
        bird.close()
        with parrot(port) as other:
            assert other.echoes()
    assert archive.abandoned == 1
    assert not archive.instances


@pytest.mark.parametrize(
    "inside",
    [
        command(3, store_command("1.2.3.5")),
        pdata(1, 2, b"other context"),
        pdata(99, 2, b"no context"),
    ],
)
def test_something_else_inside_a_data_set_aborts(bird, archive, inside):
    bird.say(command(3, store_command(UID)) + pdata(3, 0, data_set()) + inside)
    assert bird.hear()[0] == 7
    assert not archive.instances


def test_an_operation_that_is_not_of_the_class_is_declined(bird):
    bird.say(command(1, store_command(UID)) + pdata(1, 2, data_set()))
    assert bird.hear_command().status == 0x0122
    bird.say(command(3, Command(field=0x0120, message_id=3, sop_class="1.2.3")))
    assert bird.hear_command().status == 0x0211
    bird.say(command(1, Command(field=0x0FFF, responded_to=3)))  # a cancel that comes too late
    bird.say(command(1, echo_command()))
    assert bird.hear_command().status == 0


def test_a_private_class_comes_in_over_its_context(archive):
    own = "1.2.826.0.1.3680043.2.1.9"
    with serving(archive) as port, parrot(port) as bird:
        bird.associate(ProposedContext(5, own, ("1.2.3.4.5",)))
        bird.say(command(5, store_command(UID, own)) + pdata(5, 2, data_set(UID, own)))
        assert bird.hear_command().status == 0
    assert archive.instances[UID].transfer_syntax == "1.2.3.4.5"
