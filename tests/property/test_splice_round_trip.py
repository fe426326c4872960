"""Whatever is in a data set, and whatever publishing takes out of its pixels, the original comes back."""

from hashlib import sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deid.restore import restore
from deid.seal.values import SealedInstance
from deid.splice import (
    Copy,
    Literal,
    PayloadEdit,
    Program,
    Split,
    Unspliced,
    Unsplittable,
    Xor,
    apply_edit,
    decode_program,
    encode_program,
    literals_of,
    payload_of,
    program_for,
    published_payload,
    split,
)
from tests.unit.deid.seal.build import BIG_ENDIAN, EXPLICIT, JPEG, element, fragments, native

SYNTAXES = ("1.2.840.10008.1.2", EXPLICIT, BIG_ENDIAN, JPEG, "1.2.840.10008.1.2.5", "1.2.3", "")


def given_back(
    original: bytes, syntax: str, found: Split, edits: dict[int, PayloadEdit], below: int
) -> bytes:
    def published(index):
        return bytes(published_payload(original, found, index, edits))

    program = decode_program(encode_program(program_for(found, len(original), edits)))
    literals = [bytes(piece) for piece in literals_of(original, program, published)]
    assert sum(map(len, literals)) == program.literal_bytes
    sealed = SealedInstance(syntax, len(original), sha256(original).digest(), program, literals)
    return b"".join(restore(sealed, published, assemble_below_bytes=below))


@st.composite
def native_originals(draw):
    order, vr = draw(
        st.sampled_from([("<", "OW"), ("<", "OB"), (">", "OW"), (">", "OB"), (">", "OL"), (">", "OD")])
    )
    bits = draw(st.sampled_from([1, 8, 12, 16, 32, 64]))
    samples = draw(st.sampled_from([1, 3]))
    frames = draw(st.integers(1, 5))
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    size = (rows * columns * samples * bits * frames + 7) // 8
    value = draw(st.binary(min_size=size, max_size=size + 20))
    tail = draw(st.sampled_from([b"", element(0xFFFCFFFC, "OB", b"\0\0", order)]))
    data = native(
        value, vr, order, tail, rows=rows, columns=columns, samples=samples, bits=bits, frames=frames
    )
    return data, BIG_ENDIAN if order == ">" else EXPLICIT


@given(
    native_originals(),
    st.binary(min_size=1, max_size=8),
    st.sets(st.integers(0, 4)),
    st.sampled_from([0, 1 << 30]),
)
def test_native_images_come_back_with_any_bits_masked(original, pattern, masked, below):
    data, syntax = original
    found = split(data, syntax)
    if isinstance(found, Unsplittable):
        return  # an odd image in words of 8 bytes may lack the bytes that complete its last word
    edits = {n: PayloadEdit(n, cleared=pattern) for n in masked if n < len(found.holes)}
    assert given_back(data, syntax, found, edits, below) == data
    for index in edits:
        payload = published_payload(data, found, index, edits)
        laid = np.resize(np.frombuffer(pattern, np.uint8), len(payload))
        assert not np.any(np.frombuffer(payload, np.uint8) & laid)


@st.composite
def dropped_ranges(draw, length):
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    return tuple((start, stop - start) for start, stop in zip(cuts[::2], cuts[1::2], strict=False))


@given(
    st.data(),
    st.lists(st.binary(max_size=40), max_size=6),
    st.binary(max_size=16),
    st.sampled_from([0, 1 << 30]),
)
def test_fragments_come_back_with_any_ranges_dropped(data, values, table, below):
    original = fragments(
        [value + b"\0" * (len(value) % 2) for value in values], table + b"\0" * (len(table) % 2)
    )
    found = split(original, JPEG)
    edits = {
        n: PayloadEdit(
            n,
            dropped=data.draw(dropped_ranges(hole.length)),
            cleared=data.draw(st.sampled_from([b"", b"\x0f", b"\0\xff"])),
        )
        for n, hole in enumerate(found.holes)
    }
    assert given_back(original, JPEG, found, edits, below) == original
    for index, edit in edits.items():
        payload = payload_of(original, found, index)
        kept = len(payload) - sum(length for _, length in edit.dropped)
        assert len(apply_edit(payload, edit, fragment=True)) - kept in {0, 1}


@given(st.binary(max_size=300) | native_originals().map(lambda o: o[0]), st.sampled_from(SYNTAXES), st.data())
def test_split_survives_any_bytes_and_never_claims_what_is_not_there(raw, syntax, data):
    damaged = bytearray(raw)
    for position in data.draw(st.lists(st.integers(0, max(len(raw) - 1, 0)), max_size=4)) if raw else ():
        damaged[position] = data.draw(st.integers(0, 255))
    original = bytes(damaged)
    found = split(original, syntax)
    if isinstance(found, Split):
        assert found.head_end <= found.value_start <= found.value_end <= found.tail_start <= len(original)
        assert all(found.value_start <= hole.start <= found.value_end - hole.length for hole in found.holes)
        assert given_back(original, syntax, found, {}, 1 << 30) == original


ops = st.one_of(
    st.builds(Literal, st.integers(0, 1 << 40)),
    *(
        st.builds(
            lambda kind, payload, start, words, swap: kind(payload, start, words * (swap or 1), swap),
            st.just(kind),
            st.integers(0, 1 << 20),
            st.integers(0, 1 << 40),
            st.integers(0, 1 << 20),
            st.sampled_from([0, 2, 4, 8]),
        )
        for kind in (Copy, Xor)
    ),
)


@given(st.lists(ops, max_size=30))
def test_programs_encode_and_decode(found):
    program = Program(tuple(found))
    assert decode_program(encode_program(program)) == program


@given(st.integers(1, 60_000), st.integers(1, 60_000), st.integers(10**9, 10**11))
def test_forged_sizes_are_never_believed(rows, columns, frames):
    found = split(native(bytes(64), rows=rows, columns=columns, frames=frames), EXPLICIT)
    assert found.reason in {Unspliced.VALUE_SHORT, Unspliced.TOO_MANY_PAYLOADS}
