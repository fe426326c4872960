"""A bar appears for people, after a while; otherwise nothing is printed."""

import pytest

from dgis.client import telling
from dgis.client.telling import Bar


def use(bar):
    for number in range(3):
        bar.say(f"{number} files")
        bar.advance()
    bar.close()


@pytest.mark.parametrize("shown", [False, True])
def test_what_is_done_at_once_shows_nothing(capfd, shown):
    use(Bar("downloading", 3, shown=shown))
    assert capfd.readouterr() == ("", "")


def test_what_takes_long_is_shown_until_it_ends(capfd, monkeypatch):
    monkeypatch.setattr(telling, "_AFTER_SECONDS", -1)
    bar = Bar("downloading", 3, shown=True)
    bar.say("1 file")
    assert bar._progress.live.is_started
    bar.close()
    assert not bar._progress.live.is_started
    assert capfd.readouterr().out == ""
