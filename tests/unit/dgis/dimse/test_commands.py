from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode as decode_other
from pynetdicom.dsutils import encode as encode_other

from dgis.dimse.commands import ELEMENTS, Command, MalformedCommandError, decode_command, encode_command

FULL = Command(
    field=0x8021,
    sop_class="1.2.840.10008.5.1.4.1.2.2.2",
    requested_sop_class="1.2.3",
    message_id=5,
    responded_to=65_535,
    move_destination="ODD",
    priority=2,
    has_data_set=True,
    status=0xB000,
    offending=(0x00080018, 0x0020000D),
    comment="some failed",
    sop_instance="1.2.3.4",
    requested_sop_instance="1.2.3.4.5",
    event_type=1,
    action_type=2,
    remaining=3,
    completed=4,
    failed=5,
    warning=6,
    originator_ae="WS",
    originator_message_id=7,
)


def test_the_table_names_every_field_once():
    names = [name for _, name, _ in ELEMENTS]
    assert sorted(names) == sorted(Command._fields)
    assert [element for element, _, _ in ELEMENTS] == sorted(element for element, _, _ in ELEMENTS)


def test_every_field_comes_back():
    assert decode_command(encode_command(FULL)) == FULL


def test_another_implementation_reads_and_writes_the_same_bytes():
    ours = encode_command(FULL)
    other = decode_other(BytesIO(ours), True, True)
    assert other.CommandGroupLength == len(ours) - 12
    assert other.MoveDestination == "ODD"
    assert other.ErrorComment == "some failed"
    assert other.NumberOfRemainingSuboperations == 3
    other.CommandDataSetType = 1
    assert encode_other(other, True, True) == ours


def test_a_comment_is_cut_to_what_the_vr_holds():
    read = decode_command(encode_command(Command(field=0x8001, comment="x" * 100)))
    assert read.comment == "x" * 64


def test_elements_nobody_needs_are_passed_over():
    stranger = Dataset()
    stranger.CommandField = 0x30
    stranger.CommandDataSetType = 0x0101
    stranger.MessageID = 9
    stranger.AttributeIdentifierList = [0x00080018]
    read = decode_command(encode_other(stranger, True, True))
    assert (read.field, read.message_id, read.has_data_set) == (0x30, 9, False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        encode_command(FULL)[:-1],
        encode_command(FULL)[:30],
        b"\x08\0\x18\0\4\0\0\0abcd",
        b"\0\0\0\1\xff\xff\xff\xff\0\0",
        b"\0\0\0\1\3\0\0\0abc",
        encode_command(FULL)[:12],
    ],
)
def test_what_is_no_command_set_is_malformed(data):
    with pytest.raises(MalformedCommandError):
        decode_command(data)
