import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.audit.chain import Head
from catalog.audit.seal import SealedHead, opened, seal, signing_key

KEY, OTHER = signing_key(bytes(range(32))), signing_key(bytes(32))
SEALED = SealedHead(Head("gateway-1/dicom", 7, bytes(range(32))), 1_790_000_000_000)
DOCUMENT = seal(KEY, SEALED)


def test_a_signed_head_is_opened_by_the_public_key():
    assert opened(KEY.public_key(), DOCUMENT) == SEALED
    assert opened(OTHER.public_key(), DOCUMENT) is None


@given(st.integers(0, len(DOCUMENT) - 1), st.integers(0, 7))
def test_any_changed_bit_is_refused(place, bit):
    changed = bytearray(DOCUMENT)
    changed[place] ^= 1 << bit
    assert opened(KEY.public_key(), bytes(changed)) is None


@pytest.mark.parametrize(
    "document",
    [DOCUMENT + b"\n", b" " + DOCUMENT, json.dumps(json.loads(DOCUMENT)).encode(), DOCUMENT.swapcase()],
)
def test_another_spelling_of_a_signed_head_is_refused(document):
    assert opened(KEY.public_key(), document) is None


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[]", b"null", b"\xff", b'{"signature": "00"}', b"x" * 5000]
)
def test_what_is_no_signed_head_is_none(document):
    assert opened(KEY.public_key(), document) is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length):
    with pytest.raises(ValueError, match="32"):
        signing_key(bytes(length))
