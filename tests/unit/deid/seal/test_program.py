import pytest

from deid.restore import RestoreReason, RestoreRefused, restore
from deid.seal.values import SealedInstance
from deid.splice import (
    Copy,
    Literal,
    PayloadEdit,
    Program,
    Xor,
    decode_program,
    encode_program,
    literals_of,
    program_for,
    published_payload,
    split,
)
from deid.splice.program import ProgramError
from tests.unit.deid.seal.build import BIG_ENDIAN, EXPLICIT, JPEG, fragments, native, sealable


def round_trip(data, syntax, edits=None, **options):
    entry = sealable(data, syntax, edits)
    literals = [bytes(piece) for piece in literals_of(data, entry.program, entry.published)]
    sealed = SealedInstance(syntax, len(data), entry.sha256, entry.program, literals)
    return b"".join(restore(sealed, entry.published, **options)), literals


def test_a_native_image_is_two_literals_and_a_copy():
    data = native(bytes(range(12)), tail=b"")
    found = split(data, EXPLICIT)
    assert program_for(found, len(data)).ops == (Literal(found.value_start), Copy(0, 0, 12))
    assert round_trip(data, EXPLICIT)[0] == data


def test_following_frames_cost_two_bytes_each():
    program = Program((Literal(900), *(Copy(n, 0, 100) for n in range(50))))
    encoded = encode_program(program)
    assert len(encoded) == 3 + 50 * 2
    assert decode_program(encoded) == program


def test_masked_bits_come_back_from_the_literals():
    data = native(b"\x34\xf2\x78\x16\xbc\x9a" * 2, tail=b"")
    edits = {0: PayloadEdit(0, cleared=b"\x00\xf0")}
    published = published_payload(data, split(data, EXPLICIT), 0, edits)
    assert published == b"\x34\x02\x78\x06\xbc\x0a" * 2
    restored, literals = round_trip(data, EXPLICIT, edits)
    assert restored == data
    assert b"".join(literals).endswith(b"\x00\xf0\x00\x10\x00\x90" * 2)


def test_dropped_segments_come_back_and_an_odd_fragment_is_padded():
    jpeg = b"\xff\xd8" + b"\xff\xfe\x00\x07Jane." + b"coded-data" + b"\xff\xd9"
    data = fragments([jpeg, b"plain!"])
    edits = {0: PayloadEdit(0, dropped=((2, 9),))}
    published = published_payload(data, split(data, JPEG), 0, edits)
    assert published == b"\xff\xd8coded-data\xff\xd9"
    assert published_payload(data, split(data, JPEG), 0, {0: PayloadEdit(0, dropped=((2, 8),))})[-1:] == b"\0"
    assert round_trip(data, JPEG, edits)[0] == data


def test_big_endian_words_that_frames_share_come_back():
    data = native(bytes(range(28)), order=">", rows=3, columns=3, bits=8, frames=3)
    assert round_trip(data, BIG_ENDIAN)[0] == data
    assert round_trip(data, BIG_ENDIAN, {1: PayloadEdit(1, cleared=b"\x81")})[0] == data


def test_a_deflated_original_is_one_literal():
    found = split(native(bytes(12)), "1.2.840.10008.1.2.1.99")
    assert program_for(found, 77).ops == (Literal(77),)


def test_edits_that_do_not_fit_are_refused():
    data = fragments([b"abcdef"])
    for dropped in (((4, 4),), ((2, 2), (1, 1)), ((0, -1),)):
        with pytest.raises(ValueError, match="dropped ranges"):
            program_for(split(data, JPEG), len(data), {0: PayloadEdit(0, dropped=dropped)})


def test_a_split_of_other_bytes_is_refused():
    with pytest.raises(ValueError, match="other bytes"):
        program_for(split(native(bytes(12)), EXPLICIT), 5)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x03\x01",
        b"\x20\x01",
        b"\x00",
        b"\x01\x00\x80",
        b"\x00" + b"\xff" * 9 + b"\x01",
        b"\x08\x02",
        b"\x0d\x03",
    ],
)
def test_bytes_that_are_no_program_are_refused(raw):
    with pytest.raises(ProgramError):
        decode_program(raw)


@pytest.mark.parametrize("below", [0, 1 << 30])
class TestRefusals:
    data = native(bytes(range(12)))

    def sealed(self, **changes):
        entry = sealable(self.data)
        literals = [bytes(piece) for piece in literals_of(self.data, entry.program, entry.published)]
        fields = {
            "length": len(self.data),
            "sha256": entry.sha256,
            "program": entry.program,
            "literals": literals,
        }
        return SealedInstance(EXPLICIT, **(fields | changes))

    def refused(self, sealed, payload, below):
        with pytest.raises(RestoreRefused) as caught:
            restore(sealed, payload, assemble_below_bytes=below)
        assert "Canary" not in str(caught.value)
        return caught.value.reason

    def payload(self, _index):
        return bytes(range(12))

    def test_it_restores(self, below):
        assert b"".join(restore(self.sealed(), self.payload, assemble_below_bytes=below)) == self.data

    def test_other_payload(self, below):
        assert self.refused(self.sealed(), lambda _: bytes(12), below) is RestoreReason.DIGEST

    def test_short_payload(self, below):
        assert self.refused(self.sealed(), lambda _: bytes(11), below) is RestoreReason.PAYLOAD

    def test_missing_payload(self, below):
        assert self.refused(self.sealed(), [].__getitem__, below) is RestoreReason.PAYLOAD

    def test_too_few_literals(self, below):
        assert self.refused(self.sealed(literals=[]), self.payload, below) is RestoreReason.LITERALS

    def test_too_many_literals(self, below):
        sealed = self.sealed()
        sealed = self.sealed(literals=[*sealed.literals, b"x"])
        assert self.refused(sealed, self.payload, below) is RestoreReason.LITERALS

    def test_other_length(self, below):
        assert self.refused(self.sealed(length=3), self.payload, below) is RestoreReason.LENGTH

    def test_other_digest(self, below):
        assert self.refused(self.sealed(sha256=bytes(32)), self.payload, below) is RestoreReason.DIGEST


def test_a_payload_that_changes_between_the_passes_never_leaves():
    data = native(bytes(range(24)), frames=2)
    entry = sealable(data)
    literals = [bytes(piece) for piece in literals_of(data, entry.program, entry.published)]
    answers = iter([bytes(range(12)), bytes(range(12, 24)), bytes(range(12)), bytes(12)])
    sealed = SealedInstance(EXPLICIT, len(data), entry.sha256, entry.program, literals)
    buffers = restore(sealed, lambda _: next(answers), assemble_below_bytes=0)
    got = b""
    with pytest.raises(RestoreRefused):  # noqa: PT012 - what left before the refusal is the subject
        for buffer in buffers:
            got += buffer
    assert data.startswith(got)
    assert len(got) == len(data) - 12


def test_xor_and_swap_ops_round_trip():
    program = Program((Literal(5), Xor(3, 2, 8, 4), Copy(3, 10, 2, 2), Copy(4, 0, 16, 8), Xor(0, 0, 3)))
    assert decode_program(encode_program(program)) == program
    assert program.length == 34
    assert program.literal_bytes == 16
    assert not program.whole
