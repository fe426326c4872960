import pytest

from dgis.watch.kept import Kept


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_an_answer_is_kept_for_a_while():
    clock, asked = Clock(), []
    kept = Kept(lambda: asked.append(1) or len(asked), 5, 20, clock)
    assert [kept.get(), kept.get()] == [1, 1]
    clock.now += 4.9
    assert kept.get() == 1
    clock.now += 0.2
    assert kept.get() == 2


def test_what_takes_long_is_asked_less_often():
    clock = Clock()

    def slow():
        clock.now += 2
        return clock.now

    kept = Kept(slow, 5, 20, clock)
    first = kept.get()
    clock.now += 39
    assert kept.get() == first
    clock.now += 2
    assert kept.get() > first


def test_a_failure_is_not_kept():
    answers = iter([OSError("away"), 7])

    def read():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    kept = Kept(read, 5)
    with pytest.raises(OSError, match="away"):
        kept.get()
    assert kept.get() == 7
