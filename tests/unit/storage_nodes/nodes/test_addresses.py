import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_nodes.addresses import Address, Kind
from storage_nodes.names import ObjectName, RecordKey

keys = st.from_regex(r"[a-z0-9-][a-z0-9.-]{0,127}", fullmatch=True).map(RecordKey)


@given(st.sampled_from(Kind), keys, st.binary(min_size=32, max_size=32))
def test_a_name_says_everything(kind, key, sha256):
    address = Address(kind, key, sha256)
    assert Address.parse(address.name) == address


_DIGEST = "ab" * 32


@pytest.mark.parametrize(
    "name",
    [
        f"record/ab/key-{_DIGEST}",
        f"record/cd/key_{_DIGEST}",
        f"other/ab/key_{_DIGEST}",
        f"record/ab/key_{_DIGEST}0",
        f"record/ab/_{_DIGEST}",
        f"record/key_{_DIGEST}",
        f"record/ab/key_{_DIGEST}/more",
        "probe/none",
    ],
)
def test_a_name_that_is_not_the_gateways(name):
    assert Address.parse(ObjectName(name)) is None
