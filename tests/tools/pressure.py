"""Senders that store and somebody who asks, on and on, while something underneath is broken and mended."""

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace

from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import wait_until
from tests.tools import wire
from tests.tools.client import Client, RejectedError
from tests.tools.crash import Journal
from tests.tools.fetching import HOSPITAL, find

SMALL = replace(kinds.PET, scanner=replace(anatomy.PET, rows=32))
PAIRS = [(SMALL.sop_class_uid, wire.EXPLICIT)]
_IMAGES = 3  # a series
_PAUSE_SECONDS = 0.2  # between series: what comes in must also be published
_TROUBLE = (OSError, RejectedError, LookupError, wire.GoneError)


class Pressure:
    """Load on a gateway while the block runs; what was answered stands in its journal.

    Attributes:
        statuses: of stores and of finds, how often each came.
        longest_gap_seconds: between two queries that were answered with success.
    """

    def __init__(self, gateway, senders=2):
        self.journal = Journal([])
        self.stored, self.found = Counter(), Counter()
        self.longest_gap_seconds = 0.0
        self._gateway = gateway
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send, args=(number, senders), daemon=True)
            for number in range(senders)
        ]
        self._threads.append(threading.Thread(target=self._ask, daemon=True))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_stores(self, count):
        """Return when so many more instances were answered with success."""
        before = len(self.journal.acknowledged)
        wait_until(lambda: len(self.journal.acknowledged) >= before + count, 120, "the load runs")

    def wait_for_finds(self, count):
        """Return when so many more queries were answered with success."""
        before = self.found[0]
        wait_until(lambda: self.found[0] >= before + count, 120, "queries are answered")

    def answered(self):
        """Return a journal of what was answered with success, and nothing else."""
        taken = self.journal.acknowledged
        return Journal([one for one in self.journal.instances if one.sop_instance_uid in taken], set(taken))

    def _send(self, first, step):
        seed = first + 1
        while not self._stop.is_set():
            person = PEOPLE[seed % len(PEOPLE)]
            series = list(phantoms.series(SMALL, person, _IMAGES, 1000 + seed))
            with self._lock:
                self.journal.instances += series
            while series and not self._stop.wait(_PAUSE_SECONDS):
                series = self._store(series)
            seed += step

    def _store(self, series):
        """Send what is left of a series over one association; returns what was not answered with success."""
        left = list(series)
        with (
            suppress(*_TROUBLE),
            Client(self._gateway.address, HOSPITAL, [(SMALL.sop_class_uid, [wire.EXPLICIT])]) as client,
        ):
            while left:
                one = left[0]
                status = client.store(
                    one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset
                )
                with self._lock:
                    self.stored[status] += 1
                if status != 0:
                    break
                self.journal.took(one.sop_instance_uid)
                del left[0]
        return left

    def _ask(self):
        last = time.monotonic()
        while not self._stop.wait(0.02):
            with suppress(*_TROUBLE):
                outcome = find(self._gateway.address, HOSPITAL, "STUDY", StudyInstanceUID="")
                self.found[outcome.status] += 1
                if outcome.status == 0:
                    now = time.monotonic()
                    self.longest_gap_seconds = max(self.longest_gap_seconds, now - last)
                    last = now
