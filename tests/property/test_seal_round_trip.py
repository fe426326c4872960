"""Any part seals and opens; no changed bit of a companion ever gives other bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.keys.values import PatientKey
from deid.restore import restore
from deid.seal.reader import open_companion
from deid.seal.values import SealRefused
from tests.unit.deid.seal.build import KEY, NAMES, BodySource, companion, fragments, native, sealable

JPEG = "1.2.840.10008.1.2.4.50"

wholes = st.binary(max_size=500).map(lambda raw: sealable(raw, whole=True))
natives = st.binary(min_size=12, max_size=60).map(lambda raw: sealable(native(raw)))
encapsulated = st.lists(
    st.binary(min_size=2, max_size=20).filter(lambda raw: len(raw) % 2 == 0), max_size=3
).map(lambda values: sealable(fragments(values), JPEG))
parts = st.lists(wholes | natives | encapsulated, max_size=8)


@given(parts, st.binary(max_size=200))
def test_any_part_comes_back_in_order(entries, rows):
    reader = open_companion(BodySource((companion(entries, rows),)), KEY, NAMES)
    assert (len(reader), reader.rows()) == (len(entries), rows)
    for index, entry in enumerate(entries):
        assert b"".join(restore(reader.instance(index), entry.published)) == entry.original


@settings(max_examples=60)
@given(parts, st.data())
def test_any_change_is_refused(entries, data):
    body = bytearray(companion(entries))
    for position in data.draw(st.sets(st.integers(0, len(body) - 1), min_size=1, max_size=3)):
        body[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealRefused):
        open_companion(BodySource((bytes(body),)), KEY, NAMES).verify()


@given(st.binary(max_size=600))
def test_bytes_that_are_no_companion_are_refused(raw):
    for body in (raw, companion([])[:40] + raw):
        with pytest.raises(SealRefused):
            open_companion(BodySource((body,)), KEY, NAMES).verify()


@given(st.binary(min_size=32, max_size=32).filter(lambda secret: secret != KEY.secret))
def test_no_other_key_opens_it(secret):
    with pytest.raises(SealRefused):
        open_companion(BodySource((companion([]),)), PatientKey(KEY.name, secret), NAMES)
