"""The frozen companion read by the letters of SEAL.md, with nothing of this code; each field is bound."""

import hashlib
import hmac
import json
import struct

import pytest
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deid.keys.values import PatientKey
from deid.seal.reader import open_companion, read_names
from deid.seal.values import SealNames, SealRefused
from tests.unit.deid.seal.build import BodySource
from tests.unit.deid.seal.test_vectors import VECTORS

BODY = (VECTORS / "seal-v1" / "companion.bin").read_bytes()
TOLD = json.loads((VECTORS / "seal-v1" / "companion.json").read_text())
SECRET = bytes.fromhex(TOLD["patient_key"]["secret"])
HEADER_BYTES = struct.unpack_from("<H", BODY, 10)[0]
HEADER = BODY[:HEADER_BYTES]
NAMES_AT = 40
# Field of the header (SEAL.md, The file): where it begins and ends.
FIELDS = {
    "magic": (0, 8),
    "version": (8, 10),
    "header length": (10, 12),
    "directory length": (12, 16),
    "object length": (16, 24),
    "companion id": (24, 40),
    "names": (NAMES_AT, HEADER_BYTES),
    "directory nonce": (HEADER_BYTES, HEADER_BYTES + 12),
    "directory ciphertext": (HEADER_BYTES + 12, HEADER_BYTES + 28),
    "first segment nonce": (0, 12),  # from where the directory ends; likewise below
    "first segment tag": (-16, 0),
}


def hkdf(secret, info, length=32):
    """RFC 5869 with SHA-256 and no salt, for up to 32 bytes."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()[:length]


def test_the_derivation_is_hkdf():
    """RFC 5869, Appendix A.3: its first 32 bytes."""
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf(b"\x0b" * 22, b"").hex() == expected


def texts():
    found, position = [], NAMES_AT
    while position < HEADER_BYTES:
        length = BODY[position]
        found.append(BODY[position + 1 : position + 1 + length].decode())
        position += 1 + length
    return found


def cipher():
    site, _patient, part = texts()
    return AESGCM(hkdf(SECRET, b"dgis/seal/v1\0" + site.encode() + b"\0" + part.encode()))


def directory():
    length = struct.unpack_from("<I", BODY, 12)[0]
    stored = BODY[HEADER_BYTES : HEADER_BYTES + length]
    raw = cipher().decrypt(stored[:12], stored[12:], HEADER + bytes([0]) + struct.pack("<II", 0, 0))
    instances, count = struct.unpack_from("<II", raw)
    rows = [struct.unpack_from("<BIIII", raw, 8 + 17 * number) for number in range(count)]
    return instances, rows, HEADER_BYTES + length


def test_the_frozen_companion_opens_by_the_document_alone():
    assert texts() == [TOLD["site"], TOLD["patient_key"]["name"], TOLD["part"]]
    assert struct.unpack_from("<Q", BODY, 16)[0] == len(BODY)
    instances, rows, position = directory()
    assert instances == len(TOLD["instances"])
    found = b""
    for number, (kind, stored, raw_bytes, _first, _count) in enumerate(rows, 1):
        segment = BODY[position : position + stored]
        binding = HEADER[:12] + HEADER[24:] + bytes([kind]) + struct.pack("<II", number, len(rows))
        raw = zstandard.decompress(cipher().decrypt(segment[:12], segment[12:], binding))
        assert len(raw) == raw_bytes
        found += raw if kind == 3 else b""
        position += stored
    assert found.hex() == TOLD["rows"]


def test_a_segment_opens_at_its_own_place_only():
    _instances, rows, position = directory()
    kind, stored, *_ = rows[0]
    segment = BODY[position : position + stored]
    right = (kind, 1, len(rows))
    for place in ((kind, 2, len(rows)), (kind, 1, len(rows) + 1), (kind + 1, 1, len(rows)), right):
        binding = HEADER[:12] + HEADER[24:] + bytes([place[0]]) + struct.pack("<II", *place[1:])
        if place == right:
            assert cipher().decrypt(segment[:12], segment[12:], binding)
            continue
        with pytest.raises(InvalidTag):
            cipher().decrypt(segment[:12], segment[12:], binding)


@pytest.mark.parametrize("field", FIELDS)
def test_every_bit_of_every_field_counts(field):
    begin, end = FIELDS[field]
    if field.startswith("first segment"):
        _instances, rows, position = directory()
        start = position if begin >= 0 else position + rows[0][1]
        begin, end = start + begin, start + end
    key = PatientKey(TOLD["patient_key"]["name"], SECRET)
    names = SealNames(TOLD["site"], key.name, TOLD["part"])
    for bit in range(begin * 8, end * 8):
        changed = bytearray(BODY)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealRefused):
            open_companion(BodySource((changed,)), key, names).verify()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["site", "patient", "part"])
def test_a_name_changed_to_match_what_is_asked_for_is_no_way_in(which):
    """Whoever holds a node may write any name; what was sealed under the old one does not open under it."""
    position = NAMES_AT + sum(1 + len(text) for text in texts()[:which])
    changed = bytearray(BODY)
    changed[position + 1] = ord("w")
    names = read_names(BodySource((changed,)))
    assert (names.site, names.patient_key, names.part)[which].startswith("w")
    with pytest.raises(SealRefused):
        open_companion(BodySource((changed,)), PatientKey(names.patient_key, SECRET), names)
