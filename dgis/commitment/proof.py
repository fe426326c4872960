"""Whether the copies of a record and of its sealed companion give instances back: every copy is read.

Of each copy of the record the instance's own entries are read and their digests checked, headers and frames;
of each companion its sealed instance is opened, authenticated to the last byte. With the first of both the
original is put together again, and has the digest of what was received.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from deid.elements import Buffer
from deid.keys.values import KeysError, PatientKey
from deid.restore import RestoreRefused, restore
from deid.seal.reader import CompanionReader
from deid.seal.values import SealedInstance, SealRefused
from dgis import layouts
from dgis.cache.sql import reading
from dgis.commitment.values import Finding, Known, Standing
from dgis.retriever.records import Companion, NotHere, Record, read_ahead_bytes
from replica.context import Replicas
from replica.full import full
from replica.source import Misbehaviour, ReplicaSource
from replica.values import Located
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

_log = structlog.get_logger(__name__)
_FAULTS = (NotHere, SealRefused, RestoreRefused, KeysError, LookupError)


@dataclass(frozen=True, slots=True)
class Means:
    """What proving works with; `report` is told of copies that lie."""

    replicas: Replicas
    key_of: Callable[[str], PatientKey]
    report: Callable[[Misbehaviour], None]


Asked = tuple[int, Known]
"""The place of an instance in its transaction, and what is known of it."""


class Prover:
    """Proves instances, record by record."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def prove(self, record_key: RecordKey, asked: Sequence[Asked]) -> list[Finding]:
        """Say of instances that lie in one record, or in its companion alone, how they stand."""
        withheld = [each for each in asked if each[1].withheld]
        published = [each for each in asked if not each[1].withheld]
        found = self._of(record_key, published, [Kind.SEALED, Kind.RECORD])
        return found + self._of(record_key, withheld, [Kind.SEALED])

    def _of(self, key: RecordKey, asked: Sequence[Asked], kinds: Sequence[Kind]) -> list[Finding]:
        if not asked:
            return []
        replicas = self._means.replicas
        with reading(replicas.engine) as connection:
            places = {kind: full(connection, replicas, [key], kind).get(key) for kind in kinds}
        located = {kind: place for kind, place in places.items() if place is not None}
        if len(located) < len(kinds):
            return [Finding(place, Standing.FEW_COPIES, known) for place, known in asked]
        copies = _Copies(self._means, key, located, read_ahead_bytes(len(asked)))
        return [
            Finding(place, Standing.PROVEN if copies.give_back(known) else Standing.UNPROVEN, known)
            for place, known in asked
        ]


class _Copies:
    """Every copy of one record and of its companion, each read by itself."""

    def __init__(
        self, means: Means, key: RecordKey, located: dict[Kind, Located], read_ahead_bytes: int
    ) -> None:
        self._key = key
        sealed, record = located[Kind.SEALED], located.get(Kind.RECORD)
        self._companions = [Companion(_only(means, sealed, node), key, means.key_of) for node in sealed.nodes]
        self._records: list[Record] = []
        if record is not None:
            layout = None if record.layout is None else layouts.from_json(record.layout)
            self._records = [
                Record(_only(means, record, node), layout, read_ahead_bytes) for node in record.nodes
            ]

    def give_back(self, known: Known) -> bool:
        try:
            self._read(known)
        except _FAULTS as error:
            _log.warning("copy_does_not_give_back", record=self._key, reason=type(error).__name__)
            return False
        return True

    def _read(self, known: Known) -> None:
        assert known.position is not None, "it is published, or sealed: it has a place"
        for record in self._records:
            for _piece in record.dataset(known.position):
                pass
        first, *others = self._companions
        first.ask(lambda reader: self._restored(reader, known))
        for companion in others:
            companion.ask(lambda reader: _opened(reader, known))

    def _restored(self, reader: CompanionReader, known: Known) -> None:
        def payload(number: int) -> Buffer:
            assert known.position is not None, "as above"
            if not self._records:
                raise LookupError("what was sealed whole refers to no record")
            return self._records[0].payload(known.position, number)

        digest = hashlib.sha256()
        for piece in restore(_opened(reader, known), payload):
            digest.update(piece)
        if digest.digest() != known.sha256:
            raise NotHere("the original that is sealed is not the one that was received")


def _opened(reader: CompanionReader, known: Known) -> SealedInstance:
    """Open a sealed instance, and read all that is sealed of it."""
    assert known.position is not None, "as above"
    sealed = reader.instance(known.position)
    for _piece in sealed.literals:
        pass
    if sealed.sha256 != known.sha256:
        raise NotHere("another original is sealed there")
    return sealed


def _only(means: Means, located: Located, node: str) -> ReplicaSource:
    return ReplicaSource(means.replicas.fleet, replace(located, nodes=(node,)), means.report)
