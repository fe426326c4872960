"""The worker's chore: tells destinations which series became retrievable, for days if need be.

    queued with the publication -> claim -> decide and write into the trail, in one commit -> N-CREATE -> gone

A crash in between sends the notification again, under the same SOP Instance UID.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
import structlog

from dgis import failpoints
from dgis.availability import queue
from dgis.availability.queue import Notice
from dgis.availability.telling import Listener, tell
from dgis.commitment.judging import next_report_ms
from dgis.commitment.leases import kept
from dgis.commitment.resting import Resting
from dgis.dimse.availability import notify
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.limits import Limits

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What notifying works with; `listeners` are by AE title."""

    engine: sa.Engine
    ae_title: str
    writer: str
    listeners: Mapping[str, Listener]
    patience_ms: int
    clock_ms: Callable[[], int]
    lease_ms: int
    limits: Limits


class Notifier:
    """Sends notices; several may run at once, on several gateways."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._engine = means.engine
        self._resting = Resting(means.clock_ms)

    def run_once(self) -> bool:
        """Send one notice; False where none is due."""
        means = self._means
        if not means.listeners:
            return False
        with self._engine.begin() as connection:
            name, now_ms = uuid.uuid4().hex, means.clock_ms()
            awake = means.listeners.keys() - self._resting.titles()
            notice = queue.claim(connection, name, awake, now_ms, means.lease_ms)
        if notice is None:
            return False
        failpoints.hit("availability.claimed")
        with kept(self._engine, partial(queue.renew, notice), means.lease_ms, means.clock_ms):
            words = self._send(notice)
            failpoints.hit("availability.sent")
            self._note(notice, words)
        failpoints.hit("availability.noted")
        return True

    def _send(self, notice: Notice) -> str | None:
        means = self._means
        listener = means.listeners[notice.destination]
        where = listener.destination
        with self._engine.begin() as connection:
            available = tell(connection, notice.series_key, listener, means.writer, means.clock_ms())
        if available is None:  # not for this destination, or gone
            return None
        party = where.party(means.ae_title)
        try:
            words = notify(party, notice.sop_instance_uid, available, means.limits)
        except AssociationEndedError as error:
            self._resting.failed(where.ae_title)
            return f"destination {error}"
        self._resting.answered(where.ae_title)
        return words

    def _note(self, notice: Notice, words: str | None) -> None:
        now_ms = self._means.clock_ms()
        given_up = now_ms >= notice.first_ms + self._means.patience_ms
        with self._engine.begin() as connection:
            if words is None or given_up:
                queue.over(connection, notice)
            else:
                queue.failed(connection, notice, next_report_ms(notice.attempts + 1, now_ms), words)
        if words is not None:
            _log.warning("notice_waits", attempts=notice.attempts + 1, given_up=given_up)
