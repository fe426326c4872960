from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dgis.publisher.plan import cut, retry_after_ms


@dataclass(frozen=True)
class Piece:
    length: int


@given(st.lists(st.integers(0, 100)), st.integers(1, 150), st.integers(1, 5))
def test_parts_hold_everything_in_order_and_keep_within_their_size(lengths, part_bytes, part_instances):
    pieces = [Piece(length) for length in lengths]
    parts = list(cut(pieces, part_bytes, part_instances))
    assert [piece for part in parts for piece in part] == pieces
    for part in parts:
        assert 1 <= len(part) <= part_instances
        assert len(part) == 1 or sum(piece.length for piece in part) <= part_bytes


def test_a_failed_part_rests_longer_each_time_but_never_gives_up():
    rests = [retry_after_ms(attempts) for attempts in range(1, 40)]
    assert rests[:3] == [2_000, 4_000, 8_000]
    assert rests == sorted(rests)
    assert rests[-1] == 300_000
