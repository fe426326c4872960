"""Key files as KEYS.md describes them, by its letters; what was written once is read for ever."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deid.keys.kek import Kek, KekRing
from deid.keys.record import Tombstone, parse_record, wrap
from deid.keys.values import KeyDamaged, PatientKey

KEK = bytes(range(32))
KEY = PatientKey("aaaabbbbccccdddd", bytes(range(64, 96)))
# Written by version 1; never made anew.
V1_KEY = (
    b'{"version": 1, "state": "key", "name": "aaaabbbbccccdddd", "kek": "c5f5199814362f1b", '
    b'"wrapped": "RrKJV2tAw7ALJ8R5BCxGvTa2T5RtWb2dj8noaoo3CFX4Cm5L5xYBxvZYy0XgPlt85mmDdyBoqXRBz3zN"}\n'
)
V1_TOMBSTONE = (
    b'{"version": 1, "state": "shredded", "name": "aaaabbbbccccdddd", "shredded_ms": 1700000000000}\n'
)
RING = KekRing((Kek(KEK),))


def test_the_cipher_is_aes_256_gcm():
    """McGrew and Viega, The Galois/Counter Mode of Operation, Appendix B, Test Case 16."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    with_it = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    assert AESGCM(key).encrypt(nonce, plain, with_it) == sealed


def test_version_1_is_read_for_ever():
    assert parse_record(KEY.name, V1_KEY).unwrap(RING) == KEY
    assert parse_record(KEY.name, V1_TOMBSTONE) == Tombstone(KEY.name, 1_700_000_000_000)


def test_what_is_written_opens_by_the_letters_of_the_document():
    said = json.loads(wrap(KEY, RING).encode())
    kek_id = hmac.new(KEK, b"dgis/keys/v1/kek-id", hashlib.sha256).digest()[:8].hex()
    assert (said["version"], said["state"], said["name"], said["kek"]) == (1, "key", KEY.name, kek_id)
    wrapped = base64.b64decode(said["wrapped"])
    assert len(wrapped) == 12 + 32 + 16
    binding = b"dgis/keys/v1\0" + KEY.name.encode() + b"\0" + kek_id.encode()
    assert AESGCM(KEK).decrypt(wrapped[:12], wrapped[12:], binding) == KEY.secret


def test_no_two_copies_share_a_nonce():
    nonces = {base64.b64decode(json.loads(wrap(KEY, RING).encode())["wrapped"])[:12] for _ in range(1000)}
    assert len(nonces) == 1000


@pytest.mark.parametrize(("part", "first", "last"), [("nonce", 0, 12), ("key", 12, 44), ("tag", 44, 60)])
def test_every_bit_of_every_field_counts(part, first, last):
    said = json.loads(V1_KEY)
    wrapped = base64.b64decode(said["wrapped"])
    for bit in range(first * 8, last * 8):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        raw = json.dumps({**said, "wrapped": base64.b64encode(changed).decode()}).encode()
        with pytest.raises(KeyDamaged):
            parse_record(KEY.name, raw).unwrap(RING)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "aaaabbbbccccddde"), ("kek", "c5f5199814362f1c"), ("version", 2), ("state", "shred")],
)
def test_every_field_beside_it_counts(field, value):
    raw = json.dumps({**json.loads(V1_KEY), field: value}).encode()
    with pytest.raises(KeyDamaged):
        parse_record(KEY.name if field != "name" else value, raw).unwrap(RING)
