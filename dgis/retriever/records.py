"""Opening records and companions wherever a good copy lies: what a digest refutes is read from the next."""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import sqlalchemy as sa

from deid.keys.values import KeyMissing, KeyShredded, PatientKey
from deid.seal.reader import CompanionReader, open_companion, read_names
from deid.seal.values import SealNames, SealReason, SealRefused
from dgis import layouts
from dgis.near.copies import NearCopies
from dgis.near.source import NearSource
from replica.fleet import Fleet
from replica.locate import locate
from replica.source import Misbehaviour, NoCopyLeft, ReplicaSource
from replica.values import Located
from storage_nodes.addresses import Kind
from storage_nodes.body import SteppedBody
from storage_nodes.errors import DigestMismatch, NodeError
from storage_nodes.names import RecordKey
from storage_nodes.record.errors import DamagedRecordError, RecordTooLargeError, UnsupportedRecordError
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.values import Buffer, RecordLayout

Reader = TypeVar("Reader")
Answer = TypeVar("Answer")


_MANY = 8  # instances of one record at once: they are read front to back, mostly
_READ_AHEAD_BYTES = 4 << 20


def read_ahead_bytes(instances: int) -> int:
    """Return how much to read at a time: one image must not cost a node what a series costs."""
    return _READ_AHEAD_BYTES if instances >= _MANY else 0


class NotHere(Exception):  # noqa: N818 (reads as what happened)
    """An object that no node gives now; the text names no image."""


class Copies(Protocol):
    """The copies of one object, read one after another (`replica.source.ReplicaSource`)."""

    @property
    def size(self) -> int:
        """Length, bytes."""

    def read(self, start: int, length: int) -> Buffer:
        """Return a range.

        Raises:
            NoCopyLeft: every copy failed or was rejected.
        """

    def is_whole(self) -> bool:
        """Tell whether the whole has the digest of the index."""

    def reject(self, trouble: str = ...) -> bool:
        """Give up the copy that was read last; returns whether there is another."""


class _Replicated(Generic[Reader]):
    """A reader over the copies of one object; one that lies is rejected, and the next is opened."""

    def __init__(self, source: Copies, open_reader: Callable[[Copies], Reader]) -> None:
        self._source = source
        self._open = open_reader
        self._reader: Reader | None = None

    def ask(self, question: Callable[[Reader], Answer]) -> Answer:
        """Put a question to the reader; on damage, again to the next copy.

        Raises:
            NotHere: every copy failed.
        """
        while True:
            reader = self._reader  # another thread may reject its copy, and forget it, at any moment
            try:
                if reader is None:
                    reader = self._reader = self._open(self._source)
                return question(reader)
            except SealRefused as error:
                if error.reason is SealReason.NO_INSTANCE:
                    raise
                self.reject(error)
            except (DamagedRecordError, NoCopyLeft) as error:
                self.reject(error)
            except (UnsupportedRecordError, RecordTooLargeError) as error:
                raise NotHere(str(error)) from error

    def reject(self, error: Exception) -> None:
        """Give up the copy that was read last and be ready to ask the next one.

        Raises:
            NotHere: there is no next one.
        """
        self._reader = None
        if isinstance(error, NoCopyLeft):
            raise NotHere(f"no copy can be read: {error}") from error
        if not self._source.reject():
            raise NotHere("every copy is damaged") from error


class Record:
    """One record of de-identified instances, read from whichever copies are good."""

    def __init__(self, source: Copies, layout: RecordLayout | None, read_ahead_bytes: int) -> None:
        self._copies = _Replicated(
            source, lambda each: RecordReader(each, layout, read_ahead_bytes=read_ahead_bytes)
        )

    def ask(self, question: Callable[[RecordReader], Answer]) -> Answer:
        """Put a question to the record; on damage, again to the next copy.

        Raises:
            NotHere: no copy gives the answer.
        """
        return self._copies.ask(question)

    def payload(self, position: int, number: int) -> Buffer:
        """Return one frame or fragment as it was published.

        Raises:
            LookupError: there is none.
            NotHere: no copy gives it.
        """
        return self._copies.ask(lambda reader: reader.payload(position, number))

    def dataset_length(self, position: int) -> int:
        """Return the bytes of one de-identified data set."""
        return self._copies.ask(lambda reader: reader.dataset_length(position))

    def dataset(self, position: int) -> Iterator[Buffer]:
        """Yield one de-identified data set; after damage it goes on from another copy where it stopped.

        Raises:
            NotHere: no copy gives the rest.
        """
        given = 0
        while True:
            skip = given
            pieces = self._copies.ask(lambda reader: reader.dataset(position))
            try:
                for piece in pieces:
                    fresh = piece[min(skip, len(piece)) :]
                    skip -= len(piece) - len(fresh)
                    given += len(fresh)
                    if len(fresh):
                        yield fresh
            except (DamagedRecordError, NoCopyLeft) as error:
                self._copies.reject(error)
            else:
                return


class Companion:
    """One sealed companion, opened with its patient's key."""

    def __init__(self, source: Copies, part: RecordKey, key_of: Callable[[str], PatientKey]) -> None:
        self._part = part
        self._key_of = key_of
        self._patient_key: str | None = None
        self.asked_for = ""  # which key the copy read last asked for: nothing vouches for that
        self._copies = _Replicated(source, self._opened)

    def ask(self, question: Callable[[CompanionReader], Answer]) -> Answer:
        """Put a question to the companion; the key is asked for each time, for it may have been destroyed.

        Raises:
            NotHere: no copy gives the answer.
            deid.keys.values.KeysError: the patient's key is not to be had.
        """
        self.check_key()
        return self._copies.ask(question)

    @property
    def key_name(self) -> str | None:
        """Which key it opened with; None before it was asked."""
        return self._patient_key

    def reject(self, error: Exception) -> None:
        """Give up the copy that was read last: the caller knows that it lies.

        Raises:
            NotHere: there is no other copy.
        """
        self._copies.reject(error)

    def check_key(self) -> None:
        """Ask for the key again, where the companion is open.

        Raises:
            deid.keys.values.KeysError: the patient's key is not to be had any more.
        """
        if self._patient_key is not None:
            self._key_of(self._patient_key)

    def _opened(self, source: Copies) -> CompanionReader:
        names = read_names(source)  # nothing vouches for them until the companion is opened
        if names.part != self._part:
            raise SealRefused(SealReason.OTHER_COMPANION)  # whole, and of other images: a node changed them
        self.asked_for = names.patient_key
        try:
            key = self._key_of(names.patient_key)
        except ValueError as error:
            raise SealRefused(SealReason.DAMAGED) from error
        except (KeyMissing, KeyShredded) as error:
            if source.is_whole():
                raise
            raise SealRefused(SealReason.DAMAGED) from error  # another copy may name another key
        reader = open_companion(source, key, names)
        self._patient_key = names.patient_key
        return reader


class Shelf:
    """Finds records and companions by key, on the nodes that are near and well."""

    def __init__(
        self,
        engine: sa.Engine,
        fleet: Fleet,
        report: Callable[[Misbehaviour], None],
        near: NearCopies | None = None,
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        self._report = report
        self._near = near

    def record(self, key: RecordKey, read_ahead_bytes: int = 0) -> Record:
        """Open a record; what goes through it front to back reads so much at a time.

        Raises:
            NotHere: the index knows of none.
        """
        located = self._located(key, Kind.RECORD)
        layout = None if located.layout is None else layouts.from_json(located.layout)
        return Record(self._source(located), layout, read_ahead_bytes)

    def companion(self, key: RecordKey, key_of: Callable[[str], PatientKey]) -> Companion:
        """Open a sealed companion.

        Raises:
            NotHere: the index knows of none.
        """
        return Companion(self._source(self._located(key, Kind.SEALED)), key, key_of)

    def companion_names(self, key: RecordKey) -> SealNames:
        """Return what a sealed companion calls itself in clear; nothing vouches for it.

        Raises:
            NotHere: the index knows of none.
            NoCopyLeft, SealRefused: the copies cannot be read.
        """
        return read_names(self._source(self._located(key, Kind.SEALED)))

    def knows(self, key: RecordKey, kind: Kind) -> bool:
        """Whether the index knows of an object."""
        with self._engine.connect() as connection:
            return key in locate(connection, self._fleet, [key], kind)

    def bring(self, key: RecordKey, kind: Kind, since_ms: int) -> bool:
        """Bring a copy of an object near, where none is; False: there is no room for it.

        What was brought or read since (epoch milliseconds) stays.

        Raises:
            NotHere: the index knows of none, or no node gives it now.
        """
        near = self._near
        located = self._located(key, kind)
        if near is None or near.has(located):
            return near is not None
        source = ReplicaSource(self._fleet, located, self._report)
        while True:
            try:
                return near.keep(located, SteppedBody(source.read, source.size), since_ms)
            except DigestMismatch as error:
                if not source.reject():
                    raise NotHere("every copy is damaged") from error
            except NoCopyLeft as error:
                raise NotHere(f"no copy can be read: {error}") from error
            except NodeError as error:
                raise NotHere(f"it cannot be kept here: {error.trouble}") from error

    def _located(self, key: RecordKey, kind: Kind) -> Located:
        with self._engine.connect() as connection:
            found = locate(connection, self._fleet, [key], kind).get(key)
        if found is None:
            raise NotHere("the replica index knows no such object")
        return found

    def _source(self, located: Located) -> Copies:
        source = ReplicaSource(self._fleet, located, self._report)
        if self._near is not None and self._near.has(located):
            return NearSource(self._near, located, source)
        return source
