from dgis.commitment.resting import Resting
from tests.unit.dgis.site import Clock


def test_who_fails_rests_longer_each_time_and_no_longer_than_ten_minutes():
    clock = Clock()
    resting = Resting(clock)
    rests = []
    for _ in range(8):
        resting.failed("A")
        began_ms = clock.now_ms
        while "A" in resting.titles():
            clock.pass_seconds(1)
        rests.append((clock.now_ms - began_ms) // 1000)
    assert rests == [30, 60, 120, 240, 480, 600, 600, 600]


def test_who_answers_starts_over_and_others_are_not_concerned():
    clock = Clock()
    resting = Resting(clock)
    resting.failed("A")
    resting.failed("A")
    assert resting.titles() == {"A"}
    resting.answered("A")
    assert resting.titles() == set()
    resting.failed("A")
    clock.pass_seconds(31)
    assert resting.titles() == set()
