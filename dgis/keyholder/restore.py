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


class Restorer:
    """Gives originals back, byte for byte or not at all."""

    def __init__(self, shelf: Shelf, keys: KeyStore, threads: int) -> None:
        self._shelf = shelf
        self._keys = keys
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="restore")
        self._lock = Lock()
        self._open: OrderedDict[tuple[RecordKey, int], _Part] = OrderedDict()

    def __call__(self, request: RestoreRequest) -> Iterator[Restored | NotRestored]:
        """Yield the originals of a request in order, the next ones being restored meanwhile."""
        ahead: list[Future[Restored | NotRestored]] = []
        which = (request.record_key, read_ahead_bytes(len(request.positions)))
        for position in request.positions:
            ahead.append(self._threads.submit(self._restore, which, position))
            if len(ahead) > _AHEAD:
                yield ahead.pop(0).result()
        for each in ahead:
            yield each.result()

    def _restore(self, which: tuple[RecordKey, int], position: int) -> Restored | NotRestored:
        try:
            return self._restored(which, position)
        except KeyShredded:
            return NotRestored("the patient's key was destroyed; the original no longer exists")
        except KeyMissing:
            return NotRestored("no key store that answers holds the patient's key")
        except (KeysError, NotHere, SealRefused, RestoreRefused) as error:
            _log.warning("original_not_restored", record=which[0], position=position, reason=str(error))
            self._forget(which)
            return NotRestored(str(error))

    def _restored(self, which: tuple[RecordKey, int], position: int) -> Restored:
        part = self._part(which)

        def payload(number: int) -> Buffer:
            return part.record.payload(position, number)

        def checked(reader: CompanionReader) -> Restored:
            # long literals are read while restoring: damage found there is answered by the next copy as well
            sealed = reader.instance(position)
            chunks = restore(sealed, payload)
            return Restored(sealed.length, (memoryview(chunk) for chunk in chunks))

        return part.companion.ask(checked)

    def _part(self, which: tuple[RecordKey, int]) -> _Part:
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

    def _forget(self, which: tuple[RecordKey, int]) -> None:
        with self._lock:
            self._open.pop(which, None)
