import pytest

from dgis.dimse.limits import Limits
from dgis.dimse.wire import Patience, PeerTooSlowError, Wire


class Flood:
    """A peer that never stops: every read is filled at once, so that nobody ever waits for it."""

    tick_seconds = 1.0

    def set_tick(self, seconds):
        self.tick_seconds = seconds

    def receive(self, into):
        return len(into)


def test_a_last_wait_ends_although_the_peer_never_stops():
    wire = Wire(Flood(), Limits())
    wire.expect_last(Patience("close", 0.05))
    with pytest.raises(PeerTooSlowError, match="close: not over in time"):
        wire.skip(1 << 62)
