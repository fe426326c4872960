"""Originals from record and companion, in the process that holds the keys."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from threading import Lock

import structlog

from deid.elements import Buffer
from deid.keys.store import KeyStore
from deid.keys.values import KeyMissing, KeysError, KeyShredded
from deid.restore import RestoreRefused, restore
from deid.seal.reader import CompanionReader
from deid.seal.values import SealRefused
from dgis.keyholder.client import NotRestored, Restored
from dgis.keyholder.protocol import RestoreRequest
from dgis.retriever.records import NotHere, Record, Shelf, read_ahead_bytes
from storage_nodes.names import RecordKey

_log = structlog.get_logger(__name__)

_OPEN_PARTS = 8  # kept open for the next request: a study is often asked for image by image
_AHEAD = 2  # instances restored while one is being sent


_Which = tuple[RecordKey, int]  # a part, and how much of its record is read at a time


class _Part:
    """Companion and record of one part; the record is opened when the first payload is wanted."""

    def __init__(self, shelf: Shelf, keys: KeyStore, key: RecordKey, read_ahead_bytes: int) -> None:
        self.companion = shelf.companion(key, keys.get)
        self._shelf = shelf
        self._key = key
        self._read_ahead_bytes = read_ahead_bytes

    @cached_property
    def record(self) -> Record:
        """The record; a part whose instances are all sealed whole has none."""
        return self._shelf.record(self._key, self._read_ahead_bytes)


_Said = Restored | NotRestored
_Answer = tuple[_Part | None, _Said]  # with the part it was restored from


class Restorer:
    """Gives originals back, byte for byte or not at all."""

    def __init__(self, shelf: Shelf, keys: KeyStore, threads: int) -> None:
        self._shelf = shelf
        self._keys = keys
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="restore")
        self._lock = Lock()
        self._open: OrderedDict[_Which, _Part] = OrderedDict()

    def __call__(self, request: RestoreRequest) -> Iterator[Restored | NotRestored]:
        """Yield the originals of a request in order, the next ones being restored meanwhile."""
        ahead: list[Future[_Answer]] = []
        which = (request.record_key, read_ahead_bytes(len(request.positions)))
        for position in request.positions:
            ahead.append(self._threads.submit(self._restore, which, position))
            if len(ahead) > _AHEAD:
                yield self._still(which, *ahead.pop(0).result())
        for each in ahead:
            yield self._still(which, *each.result())

    def forget(self) -> None:
        """Close the parts that are open: what was read of a companion stays in memory with them."""
        with self._lock:
            self._open.clear()

    def _still(self, which: _Which, part: _Part | None, answer: _Said) -> _Said:
        """Return the answer, unless the key was destroyed since it was restored ahead of its turn."""
        if part is None:
            return answer
        try:
            part.companion.check_key()
        except KeysError as error:
            return self._refused(which, error)
        return answer

    def _restore(self, which: _Which, position: int) -> _Answer:
        try:
            part = self._part(which)
            return part, self._restored(part, position)
        except KeysError as error:
            return None, self._refused(which, error)
        except (NotHere, SealRefused, RestoreRefused) as error:
            _log.warning("original_not_restored", record=which[0], position=position, reason=str(error))
            self._forget(which)
            return None, NotRestored(str(error))

    def _refused(self, which: _Which, error: KeysError) -> NotRestored:
        self._forget(which)
        if isinstance(error, KeyShredded):
            return NotRestored("the patient's key was destroyed; the original no longer exists")
        if isinstance(error, KeyMissing):
            return NotRestored("no key store that answers holds the patient's key")
        _log.warning("key_not_to_be_had", record=which[0], reason=str(error))
        return NotRestored(str(error))

    def _restored(self, part: _Part, position: int) -> Restored:
        def payload(number: int) -> Buffer:
            return part.record.payload(position, number)

        def checked(reader: CompanionReader) -> Restored:
            # long literals are read while restoring: damage found there is answered by the next copy as well
            sealed = reader.instance(position)
            chunks = restore(sealed, payload)
            return Restored(sealed.length, (memoryview(chunk) for chunk in chunks))

        return part.companion.ask(checked)

    def _part(self, which: _Which) -> _Part:
        with self._lock:
            part = self._open.get(which)
            if part is not None:
                self._open.move_to_end(which)
                return part
        part = _Part(self._shelf, self._keys, *which)
        with self._lock:
            self._open[which] = part
            while len(self._open) > _OPEN_PARTS:
                self._open.popitem(last=False)
        return part

    def _forget(self, which: _Which) -> None:
        with self._lock:
            self._open.pop(which, None)
