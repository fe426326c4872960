from dgis.dimse.budget import Budget

FREE = 65_536


def test_what_nearly_all_need_is_always_there():
    budget = Budget(0)
    assert all(budget.allowance().take(FREE) for _ in range(100))


def test_what_is_large_is_shared_and_comes_back():
    budget = Budget(10 << 20)
    first, second = budget.allowance(), budget.allowance()
    assert first.take(8 << 20)
    assert not second.take(4 << 20)
    assert second.take(2 << 20)
    first.give_back()
    first.give_back()
    assert second.take(8 << 20)
    assert not first.take(FREE + 1)
