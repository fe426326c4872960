"""C-GET and C-MOVE: what is sent, over what, in which order, and how it is counted."""

import socket
from contextlib import contextmanager

import pytest

from dgis.dimse.client import associate
from dgis.dimse.limits import Limits
from dgis.dimse.proposal import Roles
from dgis.dimse.requestor import Party, Proposal, Terms
from dgis.dimse.services import Destination, Note
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.unit.dgis.dimse.fakes import CALLER, SLOW_ENOUGH, Archive, Kept, serving
from tests.unit.dgis.dimse.parrot import CT, data_set
from tests.unit.dgis.dimse.test_find import encoded, identifier

GET = "1.2.840.10008.5.1.4.1.2.2.3"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY = identifier(StudyInstanceUID="1.2.3")
AS_SCP = Roles(scu=False, scp=True)


def kept(number: int, sop_class: str = CT, syntax: str = EXPLICIT_LE, **values: object) -> Kept:
    uid = f"1.2.3.{number}"
    return Kept(sop_class, uid, syntax, data_set(uid, sop_class, 100_000 + number), **values)


def get(archive, receive=lambda *_: 0, storage=((CT, EXPLICIT_LE),), asked=STUDY, roles=AS_SCP):
    """Statuses and commands of all responses to one C-GET."""
    proposals = [Proposal(GET, (EXPLICIT_LE,)), *(Proposal(uid, (syntax,)) for uid, syntax in storage)]
    terms = Terms(roles={uid: roles for uid, _ in storage} if roles else {})
    with serving(archive) as port:
        party = Party("127.0.0.1", port, "DGIS", "GETTER")
        with associate(party, proposals, SLOW_ENOUGH, terms) as client:
            context = client.context(GET)
            return list(client.get(context, encoded(asked, EXPLICIT_LE), receive))


@contextmanager
def moving(archive, receiver: Archive, limits: Limits = SLOW_ENOUGH, title: str = "WS"):
    """A client of the archive, and a receiver that the archive knows under `title`."""
    with serving(receiver) as there, serving(archive, limits) as here:
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", there, CALLER)
        party = Party("127.0.0.1", here, "DGIS", "MOVER")
        with associate(party, [Proposal(MOVE, (EXPLICIT_LE,))], SLOW_ENOUGH) as client:
            context = client.context(MOVE)
            yield lambda: client.move(context, encoded(STUDY, EXPLICIT_LE), title)


def counts(answer) -> tuple[int | None, ...]:
    command = answer.command
    return (command.remaining, command.completed, command.failed, command.warning)


@pytest.fixture
def archive():
    made = Archive()
    made.outgoing = [kept(number) for number in range(5)]
    return made


@pytest.fixture
def receiver():
    return Archive()


def test_get_sends_the_bytes_in_order_and_counts_each(archive):
    received = []

    def receive(context, command, data):
        received.append((command.sop_instance, context.transfer_syntax, data))
        return 0

    answers = get(archive, receive)
    assert received == [(each.sop_instance_uid, EXPLICIT_LE, each.data) for each in archive.outgoing]
    assert [counts(answer) for answer in answers] == [
        (4, 1, 0, 0),
        (3, 2, 0, 0),
        (2, 3, 0, 0),
        (1, 4, 0, 0),
        (None, 5, 0, 0),
    ]
    assert [answer.status for answer in answers] == [0xFF00] * 4 + [0]
    assert answers[-1].data is None


def test_nothing_found_is_a_success_of_nothing(archive):
    archive.outgoing = []
    (answer,) = get(archive)
    assert (answer.status, counts(answer)) == (0, (None, 0, 0, 0))


@pytest.mark.parametrize(
    ("status", "final", "numbers"),
    [(0xB007, 0xB000, (None, 4, 0, 1)), (0xA700, 0xB000, (None, 4, 1, 0)), (0x0110, 0xB000, (None, 4, 1, 0))],
)
def test_one_image_that_the_receiver_refuses_is_counted_and_named(archive, status, final, numbers):
    answers = get(archive, lambda _c, command, _d: status if command.sop_instance == "1.2.3.2" else 0)
    assert (answers[-1].status, counts(answers[-1])) == (final, numbers)
    if numbers[2]:
        assert b"1.2.3.2" in answers[-1].data
        assert b"1.2.3.3" not in answers[-1].data


def test_all_refused_is_a_failure_with_the_whole_list(archive):
    answers = get(archive, lambda *_: 0xA700)
    assert (answers[-1].status, counts(answers[-1])) == (0xA702, (None, 0, 5, 0))
    assert all(each.sop_instance_uid.encode() in answers[-1].data for each in archive.outgoing)


def test_instances_without_an_accepted_context_fail_one_by_one(archive):
    archive.outgoing = [kept(0), kept(1, MR), kept(2, CT, "1.2.840.10008.1.2.4.90"), kept(3)]
    received = []
    answers = get(archive, lambda _c, command, _d: received.append(command.sop_instance) or 0)
    assert received == ["1.2.3.0", "1.2.3.3"]
    assert (answers[-1].status, counts(answers[-1])) == (0xB000, (None, 2, 2, 0))


def test_without_the_scp_role_the_comment_says_so(archive):
    answers = get(archive, roles=None)
    assert answers[-1].status == 0xA702
    assert "role" in answers[-1].command.comment


def test_an_instance_that_cannot_be_had_fails_alone(archive):
    archive.outgoing[1] = kept(1, failing=RuntimeError("Canary"), failing_at=0)
    answers = get(archive)
    assert (answers[-1].status, counts(answers[-1])) == (0xB000, (None, 4, 1, 0))


@pytest.mark.parametrize(
    "broken",
    [
        kept(1, failing=RuntimeError("Canary"), failing_at=1),
        type("Longer", (Kept,), {"length": 10_000_000})(CT, "1.2.3.1", EXPLICIT_LE, data_set("1.2.3.1")),
    ],
)
def test_an_instance_that_breaks_off_never_arrives_short(archive, broken):
    archive.outgoing[1] = broken
    received = []
    with pytest.raises(ConnectionError):
        get(archive, lambda _c, command, _d: received.append(command.sop_instance) or 0)
    assert received == ["1.2.3.0"]


def test_a_cancel_while_images_flow_ends_with_the_counts(archive):
    archive.outgoing = [kept(number) for number in range(200)]
    proposals = [Proposal(GET, (EXPLICIT_LE,)), Proposal(CT, (EXPLICIT_LE,))]
    with serving(archive) as port:
        party = Party("127.0.0.1", port, "DGIS", "GETTER")
        with associate(party, proposals, SLOW_ENOUGH, Terms(roles={CT: AS_SCP})) as client:
            context = client.context(GET)
            answers = []
            for answer in client.get(context, encoded(STUDY, EXPLICIT_LE), lambda *_: 0):
                if not answers:
                    client.cancel(context)
                answers.append(answer)
    remaining, completed, failed, warning = counts(answers[-1])
    assert answers[-1].status == 0xFE00
    assert remaining > 150
    assert remaining + completed == 200
    assert (failed, warning) == (0, 0)


def test_get_converts_where_the_stored_syntax_was_not_accepted(archive):
    class ToImplicit:
        def targets(self, sop_class_uid, transfer_syntax):
            return ("1.2.840.10008.1.2.4.90", IMPLICIT_LE) if transfer_syntax == EXPLICIT_LE else ()

        def convert(self, instance, target):
            yield b"converted to " + target.encode()

    archive.converter = ToImplicit()
    received = []
    answers = get(archive, lambda _c, _m, data: received.append(data) or 0, ((CT, IMPLICIT_LE),))
    assert answers[-1].status == 0
    assert received == [b"converted to " + IMPLICIT_LE.encode()] * 5


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (identifier("STUDY"), "StudyInstanceUID"),
        (identifier("STUDY", StudyInstanceUID="*"), "StudyInstanceUID"),
        (identifier("SERIES", SeriesInstanceUID="1.2"), "StudyInstanceUID"),
        (
            identifier("IMAGE", StudyInstanceUID="1", SeriesInstanceUID=["1", "2"], SOPInstanceUID="3"),
            "SeriesInst",
        ),
        (identifier("PATIENT", PatientID="1"), "Level"),
    ],
)
def test_an_identifier_that_names_no_instances_is_refused(archive, asked, words):
    (answer,) = get(archive, asked=asked)
    assert answer.status == 0xA900
    assert words in answer.command.comment
    assert not archive.queries


def test_extra_keys_never_narrow_what_is_sent(archive):
    get(archive, asked=identifier(StudyInstanceUID=["1.2.3", "1.2.4"], PatientName="X*", Modality="CT"))
    (query,) = archive.queries
    assert [key.keyword for key in query.keys] == ["StudyInstanceUID"]
    assert query.keys[0].values == ("1.2.3", "1.2.4")


def test_move_sends_to_the_destination_and_says_for_whom(archive, receiver):
    with moving(archive, receiver) as move:
        answers = list(move())
    assert [answer.status for answer in answers] == [0xFF00] * 4 + [0]
    assert counts(answers[-1]) == (None, 5, 0, 0)
    assert list(receiver.instances) == [each.sop_instance_uid for each in archive.outgoing]
    assert [each.data for each in receiver.instances.values()] == [each.data for each in archive.outgoing]
    assert {each.originator_ae for each in receiver.incoming} == {"MOVER"}
    assert {each.originator_message_id for each in receiver.incoming} == {1}
    assert (receiver.attempts[0].calling_ae, receiver.attempts[0].called_ae) == ("DGIS", "WS")


def test_an_unknown_destination_is_refused_with_help(archive, receiver):
    with moving(archive, receiver, title="NOWHERE") as move:
        (answer,) = move()
    assert (answer.status, answer.command.comment) == (0xA801, "no such destination")
    assert not archive.queries


def test_a_destination_that_is_not_there_fails_all(archive):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with moving(archive, Archive()) as move:
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", port, CALLER)
        answers = list(move())
    assert (answers[-1].status, counts(answers[-1])) == (0xA702, (None, 0, 5, 0))
    assert "not reached" in answers[-1].command.comment


def test_a_destination_that_rejects_us_is_quoted(archive, receiver):
    receiver.called_ae = "SOMEBODY"
    with moving(archive, receiver) as move:
        answers = list(move())
    assert answers[-1].status == 0xA702
    assert "called AE title not recognized" in answers[-1].command.comment


def test_more_classes_than_one_association_holds_are_split_in_order(archive, receiver):
    archive.outgoing = [kept(number, f"1.2.826.0.1.{number % 150}") for number in range(300)]
    with moving(archive, receiver) as move:
        answers = list(move())
    assert (answers[-1].status, counts(answers[-1])) == (0, (None, 300, 0, 0))
    assert len(receiver.attempts) == 3
    assert list(receiver.instances) == [each.sop_instance_uid for each in archive.outgoing]


def test_an_association_that_breaks_costs_one_instance(archive, receiver):
    archive.outgoing[2] = kept(2, failing=RuntimeError("Canary"), failing_at=1)
    with moving(archive, receiver) as move:
        answers = list(move())
    assert (answers[-1].status, counts(answers[-1])) == (0xB000, (None, 4, 1, 0))
    assert list(receiver.instances) == ["1.2.3.0", "1.2.3.1", "1.2.3.3", "1.2.3.4"]
    assert len(receiver.attempts) == 2


def test_a_receiver_that_breaks_every_time_is_given_up(archive, receiver):
    archive.outgoing = [kept(number, failing=RuntimeError("x"), failing_at=1) for number in range(50)]
    with moving(archive, receiver) as move:
        answers = list(move())
    assert (answers[-1].status, counts(answers[-1])) == (0xA702, (None, 0, 50, 0))
    assert len(receiver.attempts) == 3


def test_a_receiver_that_stalls_is_timed_out(archive):
    with (
        socket.create_server(("127.0.0.1", 0)) as stalling,
        moving(archive, Archive(), Limits(response_seconds=0.3, close_seconds=0.2)) as move,
    ):
        port = stalling.getsockname()[1]
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", port, CALLER)
        answers = list(move())
    assert answers[-1].status == 0xA702
    assert "too slow" in answers[-1].command.comment


def test_a_move_to_ourselves_does_no_harm(archive):
    with serving(archive) as port:
        archive.destinations["DGIS"] = Destination("DGIS", "127.0.0.1", port, CALLER)
        party = Party("127.0.0.1", port, "DGIS", "MOVER")
        with associate(party, [Proposal(MOVE, (EXPLICIT_LE,))], SLOW_ENOUGH) as client:
            answers = list(client.move(client.context(MOVE), encoded(STUDY, EXPLICIT_LE), "DGIS"))
    assert answers[-1].status == 0
    assert len(archive.instances) == 5


def test_a_move_is_cancelled(archive, receiver):
    archive.outgoing = [kept(number) for number in range(300)]
    with serving(receiver) as there, serving(archive) as here:
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", there, CALLER)
        party = Party("127.0.0.1", here, "DGIS", "MOVER")
        with associate(party, [Proposal(MOVE, (EXPLICIT_LE,))], SLOW_ENOUGH) as client:
            context = client.context(MOVE)
            answers = []
            for answer in client.move(context, encoded(STUDY, EXPLICIT_LE), "WS"):
                if not answers:
                    client.cancel(context)
                answers.append(answer)
    assert answers[-1].status == 0xFE00
    assert answers[-1].command.remaining == 300 - len(receiver.instances)


def test_a_mover_that_leaves_ends_the_sending(archive, receiver):
    archive.outgoing = [kept(number) for number in range(2_000)]
    with serving(receiver) as there, serving(archive) as here:
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", there, CALLER)
        party = Party("127.0.0.1", here, "DGIS", "MOVER")
        with associate(party, [Proposal(MOVE, (EXPLICIT_LE,))], SLOW_ENOUGH) as client:
            next(client.move(client.context(MOVE), encoded(STUDY, EXPLICIT_LE), "WS"))
            client.association.abort()
    assert len(receiver.instances) < 2_000


def test_refusals_of_the_archive_are_passed_on(archive):
    archive.refusal = Refusal(Status.NOT_AUTHORIZED, "may not retrieve")
    (answer,) = get(archive)
    assert (answer.status, answer.command.comment) == (0x0124, "may not retrieve")
    noted = [event for event in archive.events if event.note is Note.RETRIEVE_ENDED]
    assert [event.status for event in noted] == [0x0124]
