"""Crashes: store, be killed at a named point, start again; then whether every promise was kept."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from dgis.demo.phantoms import Instance
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.verify import verify_record
from tests.gateway import EndedError, Gateway, wait_until
from tests.tools import wire
from tests.tools.client import Client, RejectedError
from tests.tools.fetching import HOSPITAL, RESEARCH, find, get, whole

QUICK = {"DGIS__PUBLISH__LEASE_SECONDS": "2"}
_SMALL = replace(kinds.PET, scanner=replace(anatomy.PET, rows=32))
_LARGE = replace(kinds.MR, scanner=replace(anatomy.MR, rows=768))  # more than the receive log writes at once
_PLAN = ((_SMALL, 5), (_LARGE, 2))  # of each of three patients
_PAIRS = [(kind.sop_class_uid, wire.EXPLICIT) for kind, _ in _PLAN]
_SENDERS = 7
_REACHED_SECONDS = 30
_DRAINED_SECONDS = 60


@dataclass
class Journal:
    """What was answered with success, kept by the senders themselves."""

    instances: list[Instance]
    acknowledged: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, uid: str) -> None:
        with self._lock:
            self.acknowledged.add(uid)

    def missing(self) -> list[Instance]:
        return [one for one in self.instances if one.sop_instance_uid not in self.acknowledged]


@dataclass(frozen=True)
class Verdict:
    """What some crashes in a row left behind; empty tuples are kept promises."""

    point: str
    struck: tuple[bool, ...]  # for each start: whether the failpoint was reached
    acknowledged: int  # before the last, undisturbed start
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    damaged: tuple[str, ...]
    seconds: float

    @property
    def kept(self) -> bool:
        return bool(self.struck) and all(self.struck) and not (self.lost or self.doubled or self.damaged)


def trial(gateway: Gateway, point: str, counts: Sequence[int], seed: int) -> Verdict:
    """Start, store and be killed once for each count, over one home; then start undisturbed and look.

    Each start has to recover from the kill before it with the failpoint armed, and may die while it does.
    The gateway is not running before and after.
    """
    started = time.monotonic()
    journal = Journal([])
    struck = []
    for turn, count in enumerate(counts):
        new = _load(seed + turn)
        journal.instances += new
        struck.append(_strike(gateway, journal, f"{point}:{count}", new))
    before = len(journal.acknowledged)
    gateway.start()
    _resend(gateway, journal)
    lost = _lost(gateway, journal)
    doubled, damaged = _on_nodes(gateway)
    gateway.kill()
    return Verdict(point, tuple(struck), before, lost, doubled, damaged, time.monotonic() - started)


def _strike(gateway: Gateway, journal: Journal, failpoint: str, new: Sequence[Instance]) -> bool:
    try:
        gateway.start(failpoint, roles=("dicom",))  # images may come while the worker still recovers
        _store(gateway, journal, new)
        return _died(gateway, journal)
    except EndedError:
        return True  # reached while it recovered
    finally:
        gateway.kill()


def _load(seed: int) -> list[Instance]:
    return [
        instance
        for kind, count in _PLAN
        for images in zip(*(phantoms.series(kind, person, count, seed) for person in PEOPLE), strict=True)
        for instance in images
    ]


def _store(gateway: Gateway, journal: Journal, instances: Sequence[Instance]) -> None:
    shares = [instances[number::_SENDERS] for number in range(_SENDERS)]
    senders = [
        threading.Thread(target=_send, args=(gateway, journal, share), daemon=True) for share in shares
    ]
    first, *others = senders
    first.start()
    first.join(_REACHED_SECONDS)  # something is acknowledged before many come at once
    for sender in others:
        sender.start()
    for sender in others:
        sender.join(_REACHED_SECONDS)


def _send(gateway: Gateway, journal: Journal, share: Sequence[Instance]) -> None:
    contexts = [(abstract, [syntax]) for abstract, syntax in _PAIRS]
    with (
        suppress(OSError, RejectedError, LookupError),  # a killed gateway answers nobody
        Client(gateway.address, HOSPITAL, contexts) as client,
    ):
        for one in share:
            status = client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
            if status == 0:
                journal.took(one.sop_instance_uid)


def _died(gateway: Gateway, journal: Journal) -> bool:
    """Wait until one of the processes died, or everything was published without that."""

    def over() -> str | None:
        if gateway.lost_a_process():
            return "died"
        return "published" if _all_published(gateway, journal) else None

    what = "the failpoint is reached or everything is published"
    return wait_until(over, _REACHED_SECONDS, what, every_seconds=0.1) == "died"


def _resend(gateway: Gateway, journal: Journal) -> None:
    """Do what a sender does: send again what was not answered; and some that was, as senders do too."""
    again = journal.missing() + journal.instances[:2]
    _store(gateway, journal, again)
    assert not journal.missing(), "a restarted gateway takes everything"


def _all_published(gateway: Gateway, journal: Journal) -> bool:
    """Whether the hospital's images are all found de-identified, which they are from the commit point on."""
    with suppress(OSError, RejectedError):
        found = find(
            gateway.address, RESEARCH, "STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances=""
        )
        known = find(
            gateway.address, HOSPITAL, "STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances=""
        )
        studies = {one.study_uid for one in journal.instances}
        listed = {str(one.StudyInstanceUID) for one in known.identifiers}
        return studies <= listed and _total(found) == _total(known)
    return False


def _total(outcome) -> int:
    return sum(int(one.NumberOfStudyRelatedInstances) for one in outcome.identifiers)


def _lost(gateway: Gateway, journal: Journal) -> tuple[str, ...]:
    drained = partial(_all_published, gateway, journal)
    wait_until(drained, _DRAINED_SECONDS, "the queue drains by itself", every_seconds=0.1)
    studies = sorted({one.study_uid for one in journal.instances})
    received = whole(get(gateway.address, HOSPITAL, studies, _PAIRS))
    counted = Counter(one.sop_instance_uid for one in received)
    bytes_of = {one.sop_instance_uid: one.dataset for one in received}
    return tuple(
        one.sop_instance_uid
        for one in journal.instances
        if bytes_of.get(one.sop_instance_uid) != one.dataset or counted[one.sop_instance_uid] != 1
    )


def _on_nodes(gateway: Gateway) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which pseudonyms lie in two records of a node, and which records are not whole."""
    doubled, damaged = [], []
    for letter in "abc":
        held: Counter[str] = Counter()
        for path in sorted(gateway.node(letter).rglob("*")):
            if not path.is_file() or ".incoming" in path.parts:
                continue
            source = BufferSource(path.read_bytes())
            if not verify_record(source).whole:
                damaged.append(f"{letter}/{path.name}")
                continue
            held.update(entry.sop_instance_uid for entry in RecordReader(source).instances)
        doubled += [uid for uid, times in held.items() if times > 1]
    return tuple(doubled), tuple(damaged)
