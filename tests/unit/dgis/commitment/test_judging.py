"""The table of when an instance is committed, waited for or failed."""

from itertools import pairwise

import pytest

from dgis.commitment.judging import Patience, judge, next_look_ms, next_report_ms
from dgis.commitment.values import Finding, Standing

PATIENCE = Patience(arrival_ms=60_000, wait_ms=600_000, report_ms=1)
# standing: (settled at once, after the time to arrive, after the time to be kept), Failure Reason
TABLE = {
    Standing.UNSUPPORTED_CLASS: ((True, True, True), 0x0122),
    Standing.ABSENT: ((False, True, True), 0x0112),
    Standing.OTHER_CLASS: ((True, True, True), 0x0119),
    Standing.DISPUTED: ((False, False, True), 0x0110),
    Standing.UNPUBLISHED: ((False, False, True), 0x0110),
    Standing.FEW_COPIES: ((False, False, True), 0x0213),
    Standing.UNPROVEN: ((False, False, True), 0x0110),
    Standing.PROVEN: ((True, True, True), None),
}


def test_every_standing_is_in_the_table():
    assert set(TABLE) == set(Standing)


@pytest.mark.parametrize("standing", Standing)
def test_every_row(standing):
    settled, reason = TABLE[standing]
    for now_ms, expected in zip((1_000, 61_000, 601_000), settled, strict=True):
        judged = judge([Finding(7, standing)], 1_000, now_ms, PATIENCE)
        assert bool(judged.settled) is expected
        assert [each.reason for each in judged.settled] == [reason] * expected
        assert [each.place for each in judged.waiting] == [7] * (not expected)


def test_nothing_but_what_is_proven_is_committed():
    judged = judge([Finding(0, each) for each in Standing], 0, 1 << 40, PATIENCE)
    assert [each.finding.standing for each in judged.settled if each.reason is None] == [Standing.PROVEN]
    assert not judged.waiting


def test_looks_become_rarer_and_never_stop():
    moments, now_ms = [], 0
    for _ in range(200):
        now_ms = next_look_ms(0, now_ms)
        moments.append(now_ms)
    steps = [after - before for before, after in pairwise(moments)]
    assert steps == sorted(steps)
    assert (min(steps), max(steps)) == (1_000, 60_000)


def test_reports_are_sent_again_for_days():
    waits = [next_report_ms(attempts, 0) for attempts in range(1, 60)]
    assert waits[:3] == [30_000, 60_000, 120_000]
    assert max(waits) == waits[-1] == 6 * 3_600_000
    assert sum(waits) > 7 * 86_400_000
