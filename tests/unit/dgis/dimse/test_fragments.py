import struct

import pytest

from dgis.dimse.fragments import data_pdus, gathered


def read(stream: bytes) -> tuple[list[int], bytes, list[int]]:
    """PDU lengths, payload put together, control headers."""
    lengths, payload, controls = [], b"", []
    while stream:
        kind, _, length, value_length, context_id, control = struct.unpack_from(">BBIIBB", stream)
        assert (kind, context_id, value_length) == (4, 5, length - 4)
        lengths.append(length)
        controls.append(control)
        payload += stream[12 : 6 + length]
        stream = stream[6 + length :]
    return lengths, payload, controls


@pytest.mark.parametrize("size", [0, 1, 93, 94, 95, 188, 189, 1000])
@pytest.mark.parametrize("chunk", [1, 7, 94, 500])
def test_pdus_hold_the_data_in_order_and_only_the_last_says_so(size, chunk):
    data = bytes(number % 251 for number in range(size))
    chunks = [data[start : start + chunk] for start in range(0, size, chunk)]
    stream = b"".join(part for pdu in data_pdus(5, 0, chunks, 100) for part in pdu)
    lengths, payload, controls = read(stream)
    assert payload == data
    assert max(lengths) <= 100
    assert controls == [0] * (len(controls) - 1) + [2]
    assert len(lengths) == max(1, -(-size // 94))


def test_payload_is_not_copied():
    data = bytearray(1000)
    pieces = [part for pdu in data_pdus(5, 0, [data], 500) for part in pdu if len(part) > 12]
    data[0] = 7
    assert pieces[0][0] == 7


def test_groups_begin_with_what_was_held_and_keep_the_order():
    pdus = list(data_pdus(5, 0, [bytes(3 << 20)], 1 << 18))
    groups = list(gathered(iter(pdus), [b"first"]))
    assert groups[0][0] == b"first"
    assert len(groups) > 2
    assert b"".join(part for group in groups for part in group) == b"first" + b"".join(
        part for pdu in pdus for part in pdu
    )
    assert list(gathered((), None)) == []
