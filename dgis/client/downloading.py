"""Series into folders: in parallel, only what is missing, each file whole or not there."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from dgis.client.checksums import Checksums
from dgis.client.errors import AnswerError, GridError, IncompleteError
from dgis.client.parts import ACCEPT, arrivals
from dgis.client.searching import PREFIX, search
from dgis.client.telling import Bar, telling
from dgis.client.transport import Transport

_SHOWN = 3
_FEW = 4  # of so many missing ones each is asked for alone, where others of the series are there


@dataclass(frozen=True, slots=True)
class Wanted:
    """A series; `instances` None: all of it."""

    study: str
    series: str
    instances: frozenset[str] | None = None

    @property
    def path(self) -> str:
        """Where DICOMweb has it (PS3.18 10.1.1)."""
        return f"{PREFIX}/studies/{self.study}/series/{self.series}"

    def folder(self, root: Path) -> Path:
        """Where its files lie."""
        return root / self.study / self.series


@dataclass(frozen=True, slots=True)
class Manner:
    """How to download: series at once, and whether to show a bar where it takes long."""

    workers: int = 4
    progress: bool = False


@dataclass(slots=True)
class Downloaded:
    """What a download did: files that came, files that were there, series that failed and why."""

    folder: Path
    fetched: int = 0
    there: int = 0
    size_bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many files of the selection lie in the folder now."""
        return self.fetched + self.there


def download(
    transport: Transport, wanted: Sequence[Wanted], folder: Path, manner: Manner | None = None
) -> Downloaded:
    """Fetch series; one that fails keeps no other from being fetched.

    Raises:
        IncompleteError: some failed; the words name a few.
        OSError: a file cannot be written.
    """
    manner = manner or Manner()
    folder.mkdir(parents=True, exist_ok=True)
    done = Downloaded(folder)
    with (
        telling("downloading", len(wanted), shown=manner.progress) as bar,
        ThreadPoolExecutor(max(1, manner.workers)) as pool,
    ):
        run = _Run(transport, folder, Checksums(folder), done, bar)
        try:
            futures = {pool.submit(run.series, each): each for each in wanted}
            for future in as_completed(futures):
                try:
                    future.result()
                except GridError as error:
                    done.failed[futures[future].series] = str(error)
                bar.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True, wait=False)
            run.stop()
            raise
        run.sums.tidy()
    if done.failed:
        few = "; ".join(f"{uid}: {words}" for uid, words in list(done.failed.items())[:_SHOWN])
        raise IncompleteError(
            f"{len(done.failed)} of {len(wanted)} series could not be fetched whole; run it again, what is "
            f"there stays: {few}",
            done.failed,
            done.files,
        )
    return done


class _Run:
    """One download; its series run in threads."""

    def __init__(
        self, transport: Transport, folder: Path, sums: Checksums, done: Downloaded, bar: Bar
    ) -> None:
        self.sums = sums
        self._transport = transport
        self._folder = folder
        self._done = done
        self._bar = bar
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let running series end at their next file."""
        self._stopped.set()

    def series(self, wanted: Wanted) -> None:
        """Fetch what of a series is missing.

        Raises:
            GridError: not all of it could be had.
        """
        target = wanted.folder(self._folder)
        instances = wanted.instances or instances_of(self._transport, wanted)
        target.mkdir(parents=True, exist_ok=True)
        for left in target.glob(".part-*"):
            left.unlink(missing_ok=True)  # of a run that ended in between
        missing = {uid for uid in instances if not self.sums.holds(target / f"{uid}.dcm")}
        with self._lock:
            self._done.there += len(instances) - len(missing)
        whole = wanted.instances is None and (len(missing) == len(instances) or len(missing) > _FEW)

        def attempt() -> None:
            """Ask for what is missing by now; each attempt has less to do."""
            if whole and len(missing) > _FEW:
                self._take(wanted.path, target, missing)
            for uid in sorted(missing):
                self._take(f"{wanted.path}/instances/{uid}", target, missing)

        self._transport.retried(attempt)
        if missing and not self._stopped.is_set():
            raise AnswerError(f"{len(missing)} instances that were found did not come")

    def _take(self, path: str, target: Path, missing: set[str]) -> None:
        with (
            self._transport.stream(path, ACCEPT) as (fields, body),
            closing(arrivals(fields, body, target)) as arriving,
        ):
            for each in arriving:
                if self._stopped.is_set():
                    return
                if each.uid not in missing:
                    each.file.unlink()  # there already, or not asked for
                    continue
                size = each.file.stat().st_size
                named = target / f"{each.uid}.dcm"
                each.file.replace(named)
                self.sums.add(named, each.digest)
                missing.discard(each.uid)
                with self._lock:
                    self._done.fetched += 1
                    self._done.size_bytes += size
                self._bar.say(f"{self._done.fetched} files, {self._done.size_bytes / 1e6:.0f} MB")


def instances_of(transport: Transport, wanted: Wanted) -> frozenset[str]:
    """Return the UIDs of the instances of a series.

    Raises:
        GridError: the gateway does not answer, or refuses.
    """
    path = f"studies/{wanted.study}/series/{wanted.series}/instances"
    found = search(transport, path, (), "SOPInstanceUID")
    return frozenset(str(match["SOPInstanceUID"]) for match in found)
