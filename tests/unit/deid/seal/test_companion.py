import os
import random
from dataclasses import replace

import pytest

from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.restore import restore
from deid.seal.padding import padded_bytes, padding_segments
from deid.seal.reader import open_companion, read_names
from deid.seal.segments import OVERHEAD_BYTES, PIECE_BYTES
from deid.seal.values import SealNames, SealReason, SealRefused
from deid.seal.writer import seal_part
from deid.splice import PayloadEdit
from tests.unit.deid.seal.build import (
    EXPLICIT,
    JPEG,
    KEY,
    NAMES,
    BodySource,
    companion,
    element,
    fragments,
    native,
    sealable,
)


class Counted(BodySource):
    def __init__(self, body):
        super().__init__(body)
        self.reads = []

    def read(self, start, length):
        self.reads.append((start, length))
        return super().read(start, length)


def opened(body: Buffer, key=KEY, names=NAMES):
    return open_companion(BodySource((body,)), key, names)


def refusal(body, key=KEY, names=NAMES) -> SealReason:
    with pytest.raises(SealRefused) as caught:
        opened(body, key, names).verify()
    assert "Canary" not in str(caught.value)
    return caught.value.reason


def mixed():
    noise = random.Random(1).randbytes
    jpeg = b"\xff\xd8\xff\xfe\x00\x06Jane" + noise(501) + b"\xff\xd9"
    return [
        sealable(native(noise(12))),
        sealable(native(noise(12 * 7), frames=7, tail=b"")),
        sealable(fragments([jpeg, noise(64)]), JPEG, {0: PayloadEdit(0, dropped=((2, 8),))}),
        sealable(native(noise(12)), edits={0: PayloadEdit(0, cleared=b"\x00\xf0")}),
        sealable(native(noise(2 * 1000 * 999), rows=1000, columns=999), whole=True),
        sealable(b"text that is no data set", whole=True),
        sealable(native(noise(12), tail=element(0x7FE10010, "UN", noise(9_000_000)))),
        sealable(b"", whole=True),
    ]


def test_every_kind_of_instance_comes_back_and_nothing_else_is_needed_for_whole_ones():
    entries = mixed()
    reader = opened(companion(entries, rows=b"who they are"))
    assert len(reader) == len(entries)
    assert reader.rows() == b"who they are"
    reader.verify()
    for index, entry in enumerate(entries):
        sealed = reader.instance(index)
        assert sealed.transfer_syntax == entry.transfer_syntax
        for below in (0, 1 << 30):
            restored = restore(sealed, entry.published, assemble_below_bytes=below)
            assert b"".join(restored) == entry.original
    assert [reader.instance(index).whole for index in range(len(entries))] == [False] * 4 + [
        True,
        True,
        False,
        True,
    ]


def test_nothing_of_the_original_is_in_clear():
    entry = sealable(native(bytes(12)))
    body = companion([entry], rows=b"Canary rows")
    for secret in (b"Canary", b"1.2.3.4", entry.sha256, entry.sha256.hex().encode(), EXPLICIT.encode()):
        assert secret not in body


def test_a_part_without_instances_or_rows_opens():
    reader = opened(companion([], rows=b""))
    assert len(reader) == 0
    assert reader.rows() == b""
    reader.verify()


@pytest.mark.parametrize("index", [-1, 1, 10**9])
def test_an_instance_that_is_not_there_is_refused(index):
    reader = opened(companion([native(bytes(12))]))
    with pytest.raises(SealRefused) as caught:
        reader.instance(index)
    assert caught.value.reason is SealReason.NO_INSTANCE


def test_a_companion_says_which_key_and_part_it_is():
    assert read_names(BodySource((companion([native(bytes(12))]),))) == NAMES


def test_the_same_part_sealed_twice_shares_nothing():
    first, second = (companion([native(bytes(12))]) for _ in range(2))
    assert first[24:40] != second[24:40]
    tail = len(NAMES.site) + len(NAMES.patient_key) + len(NAMES.part) + 43
    assert all(first[n : n + 16] != second[n : n + 16] for n in range(tail, len(first) - 16))


def test_a_large_part_opens_with_one_short_read_and_an_instance_with_another():
    noise = random.Random(2).randbytes
    entries = [sealable(native(noise(12), name=noise(30_000).hex())) for _ in range(120)]
    source = Counted([companion(entries)])
    reader = open_companion(source, KEY, NAMES)
    assert source.reads == [(0, 16 << 10)]
    assert b"".join(restore(reader.instance(70), entries[70].published)) == entries[70].original
    assert len(source.reads) == 2
    assert sum(length for _, length in source.reads) < source.size / 2
    reader.instance(71)
    assert len(source.reads) == 2


def test_long_literals_are_read_when_they_are_asked_for(tmp_path):
    entry = sealable(os.urandom(PIECE_BYTES * 2 + 5), whole=True)
    source = Counted([companion([entry, native(bytes(12))])])
    reader = open_companion(source, KEY, NAMES)
    reader.instance(0)
    assert sum(length for _, length in source.reads) < 64 << 10
    assert b"".join(restore(reader.instance(0), entry.published)) == entry.original


def test_a_spool_gives_the_same_companion_as_memory(tmp_path):
    entries = mixed()
    with (tmp_path / "spool").open("w+b") as spool:
        made = seal_part(entries, NAMES, KEY, b"rows", spool=spool)
        assert len(made.body) == 1
        reader = open_companion(BodySource(made.body), KEY, NAMES)
        reader.verify()
        for index, entry in enumerate(entries):
            assert b"".join(restore(reader.instance(index), entry.published)) == entry.original
        assert made.size == (tmp_path / "spool").stat().st_size


class TestRefusal:
    body = companion([native(bytes(12)), native(bytes(24), frames=2)])

    def test_every_changed_byte(self):
        assert refusal(b"x" + self.body[1:]) is SealReason.NOT_A_COMPANION
        for position in range(len(self.body)):
            damaged = bytearray(self.body)
            damaged[position] ^= 1 << position % 8
            assert refusal(damaged) in set(SealReason) - {SealReason.NO_INSTANCE}

    def test_every_length(self):
        for length in (*range(0, len(self.body), 37), len(self.body) - 1):
            assert refusal(self.body[:length])
        assert refusal(self.body + b"\0") is SealReason.DAMAGED

    def test_another_key_of_that_name(self):
        assert refusal(self.body, PatientKey(KEY.name, bytes(32))) is SealReason.DAMAGED

    def test_another_patient_s_key(self):
        assert refusal(self.body, PatientKey("patient-b", KEY.secret)) is SealReason.OTHER_COMPANION

    @pytest.mark.parametrize("field", ["site", "patient_key", "part"])
    def test_another_name(self, field):
        names = replace(NAMES, **{field: "other"})
        key = PatientKey(names.patient_key, KEY.secret)
        assert refusal(self.body, key, names) is SealReason.OTHER_COMPANION
        forged = self.body.replace(getattr(NAMES, field).encode(), b"x" * len(getattr(NAMES, field)), 1)
        names = replace(NAMES, **{field: "x" * len(getattr(NAMES, field))})
        assert refusal(forged, PatientKey(names.patient_key, KEY.secret), names) is SealReason.DAMAGED

    def test_a_later_version(self):
        later = bytearray(self.body)
        later[8] = 2
        assert refusal(later) is SealReason.UNKNOWN_VERSION

    def test_segments_that_changed_places(self):
        noise = os.urandom(PIECE_BYTES)
        body = companion([sealable(noise + noise, whole=True)])
        rows = opened(body)._directory.rows
        first = opened(body)._offsets[1]
        assert rows[1].stored == rows[2].stored
        one, two = body[first : first + rows[1].stored], body[first + rows[1].stored :][: rows[2].stored]
        assert refusal(body.replace(one + two, two + one)) is SealReason.DAMAGED

    def test_a_segment_of_another_companion_of_the_same_part(self):
        other = companion([native(bytes(12)), native(bytes(24), frames=2)])
        front = opened(self.body)._offsets[0]
        assert len(other) == len(self.body)
        assert refusal(self.body[:front] + other[front:]) is SealReason.DAMAGED
        assert refusal(other[:front] + self.body[front:]) is SealReason.DAMAGED

    def test_names_that_could_be_more_than_names(self):
        for name in ("", "a b", "a/b", "ä", "x" * 129, "Canary^Jane"):
            with pytest.raises(ValueError, match="a name in a companion"):
                SealNames("site", "patient", name)

    def test_sealing_under_another_patient_s_key(self):
        with pytest.raises(ValueError, match="another patient"):
            seal_part([], NAMES, PatientKey("patient-b", KEY.secret), b"")


def test_nothing_that_is_shown_holds_a_key_or_content():
    entry = sealable(native(bytes(12)))
    sealed = opened(companion([entry])).instance(0)
    shown = f"{KEY!r} {entry!r} {sealed!r} {seal_part([entry], NAMES, KEY, b'')!r}"
    assert "Canary" not in shown
    assert KEY.secret.hex() not in shown
    assert repr(KEY.secret) not in shown
    assert repr(entry.sha256) not in shown


@pytest.mark.parametrize("length", [0, 1, 2, 100, 4096, 65_537, 10**6 + 1, 10**9 + 7])
def test_padding_is_never_short_and_costs_little(length):
    padded = padded_bytes(length)
    assert length <= padded <= length * 1.12
    assert padded_bytes(padded) == padded


def test_padded_lengths_are_few():
    assert len({padded_bytes(length) for length in range((1 << 16) + 1, (1 << 17) + 1)}) == 32


@pytest.mark.parametrize(
    "room",
    [
        OVERHEAD_BYTES,
        1000,
        PIECE_BYTES + OVERHEAD_BYTES,
        PIECE_BYTES + OVERHEAD_BYTES + 1,
        3 * PIECE_BYTES + 90,
    ],
)
def test_padding_fills_its_room(room):
    stored = list(padding_segments(room))
    assert sum(stored) == room
    assert all(OVERHEAD_BYTES <= length <= PIECE_BYTES + OVERHEAD_BYTES for length in stored)


def test_padding_without_room_is_refused():
    with pytest.raises(ValueError, match="no room"):
        list(padding_segments(OVERHEAD_BYTES - 1))
