from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deid.files.batch import CannotWrite
from deid.files.finding import Finder, uid_of
from deid.files.instance import LeftOut, restored_pieces
from deid.files.placing import UNFINISHED, Shelf, same_files, writing_alone
from deid.files.pool import workers
from deid.files.run import Progress
from deid.files.seals import Opened, Row, SealedFolder
from deid.files.tree import read_file, sop_instance_uid
from deid.keys.values import KeysError
from deid.pseudonyms import SiteSecrets
from deid.restore import RestoreReason, RestoreRefused
from deid.seal.values import SealRefused

_COMPANIONS_A_PROCESS = 8
# Neither is a UID, nor like the other: a file that names none is nobody's, and whole seals want no file.
_NO_FILE, _NO_UID = "no file", "no UID"

NO_PIXELS = "its pixels are in the de-identified file, and that is not here"
OTHER_PIXELS = "the de-identified file that is here does not hold its pixels"
OCCUPIED = "another file lies at its place in the output folder"
NO_PATH = "its path leads out of the output folder"


@dataclass(frozen=True, slots=True)
class RestoreJob:
    """What is to be given back, from where and where to.

    `published` is the folder of the de-identified files, or one of them: then only its original is given
    back. None: only what was sealed with its pixels.
    """

    sealed: Path = field(repr=False)
    out: Path = field(repr=False)
    site: SiteSecrets
    published: Path | None = field(default=None, repr=False)


@dataclass
class Restored:
    """What was given back, counted; why the rest was not."""

    files: int = 0
    written: int = 0
    unchanged: int = 0  # the same bytes were there already
    beside: int = 0  # two originals have one path: the second got another name
    bytes: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Restored") -> None:
        """Add what another process gave back."""
        self.files += other.files
        self.written += other.written
        self.unchanged += other.unchanged
        self.beside += other.beside
        self.bytes += other.bytes
        self.failed.update(other.failed)


class _Wanted(NamedTuple):
    """Originals of one companion, by their places in it; `again`: their paths are taken by others before."""

    companion: Path
    places: tuple[int, ...]
    again: bool


def restore_tree(
    job: RestoreJob,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    in_worker: Callable[[], None] | None = None,
) -> Restored:
    """Give originals back, each checked by SHA-256 before it gets its name, under the paths they had.

    Two originals of one path and different bytes (sealed by different runs) are both given back, the second
    with `~2` at the end of its name. For the arguments see `deidentify_tree`.

    Raises:
        deid.files.placing.Occupied: another run writes into the output folder.
        deid.files.batch.CannotWrite: the output folder cannot be written.
        deid.files.seals.SealsRefused: the sealed folder is no such folder, or of another secret.
    """
    told = Restored()
    with ExitStack() as held:
        folder = SealedFolder(job.sealed, job.site)
        first, again = _wanted(folder, _only(job), told)
        try:
            held.enter_context(writing_alone(job.out, 0o700))
        except OSError as error:
            raise CannotWrite(error.strerror or type(error).__name__) from None
        total = sum(len(wanted.places) for wanted in (*first, *again))
        share = 1 + len(first) // _COMPANIONS_A_PROCESS
        pool = held.enter_context(workers(partial(_restorer, job, in_worker), min(jobs, share)))
        for one_by_one, tasks in ((False, first), (True, again)):
            for done in pool.run(tasks, one_by_one=one_by_one):
                told.add(done)
                if progress is not None:
                    progress(told.files, total)
    return told


def _only(job: RestoreJob) -> str | None:
    """Return the UID of the one de-identified file that was named; None where all are wanted."""
    if job.published is None or job.published.is_dir():
        return None
    uid = sop_instance_uid(job.published)
    return _NO_FILE if isinstance(uid, LeftOut) or not uid else uid


def _wanted(folder: SealedFolder, only: str | None, told: Restored) -> tuple[list[_Wanted], list[_Wanted]]:
    first: list[_Wanted] = []
    again: list[_Wanted] = []
    taken: set[str] = set()
    for companion in folder.companions():
        try:
            rows = folder.open(companion).rows
        except (SealRefused, KeysError, OSError) as error:
            told.failed[_words(error)] += 1
            continue
        wanted = [place for place, row in enumerate(rows) if only in {None, uid_of(row) or _NO_UID}]
        fresh = tuple(place for place in wanted if rows[place].path not in taken)
        rest = tuple(place for place in wanted if rows[place].path in taken)
        taken.update(rows[place].path for place in fresh)
        first += [_Wanted(companion, fresh, again=False)] if fresh else []
        again += [_Wanted(companion, rest, again=True)] if rest else []
    return first, again


def _words(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


class Restorer:
    """Gives back originals of one companion after the other."""

    def __init__(self, job: RestoreJob) -> None:
        """Open what the job names."""
        self._job = job
        self._folder = SealedFolder(job.sealed, job.site)
        self._shelf = Shelf(job.out, 0o600, 0o700)
        self._finder = Finder(job.published)

    def __call__(self, wanted: _Wanted) -> Restored:
        """Restore, and return what came of it.

        Each file is whole, checked and synced before it gets its name: the commit point of that file.

        Raises:
            CannotWrite: the output folder cannot be written.
        """
        told = Restored()
        try:
            opened = self._folder.open(wanted.companion)
        except (SealRefused, KeysError, OSError) as error:
            told.files += len(wanted.places)
            told.failed[_words(error)] += len(wanted.places)
            return told
        ready: list[tuple[Path, str]] = []
        try:
            for place in wanted.places:
                told.files += 1
                path = self._path(opened.rows[place])
                unfinished = None if path is None else self._written(opened, place, told)
                if path is None:
                    told.failed[NO_PATH] += 1
                elif unfinished is not None and wanted.again:
                    self._beside(unfinished, path, told)
                elif unfinished is not None and not self._there(unfinished, path, told):
                    ready.append((unfinished, path))
            self._shelf.sync(file for file, _path in ready)
            for file, path in ready:
                self._name(file, path, told)
            self._shelf.settle()
        except OSError as error:
            raise CannotWrite(error.strerror or type(error).__name__) from None
        return told

    def _written(self, opened: Opened, place: int, told: Restored) -> Path | None:
        """Write an original under an unfinished name; where it does not come back, say why."""
        row = opened.rows[place]
        try:
            sealed = opened.instance(place)
            published = None if sealed.whole else self._finder.find(row)
            if not sealed.whole and published is None:
                told.failed[NO_PIXELS] += 1
                return None
            file = b"" if published is None else read_file(published)
        except OSError as error:
            told.failed[f"its de-identified file cannot be read: {error.strerror}"] += 1
            return None
        except SealRefused as error:
            told.failed[str(error)] += 1
            return None
        try:
            return self._shelf.write(restored_pieces(sealed, file, row.native_bytes))
        except SealRefused as error:
            told.failed[str(error)] += 1
        except RestoreRefused:
            told.failed[OTHER_PIXELS if row.place else str(RestoreReason.DIGEST)] += 1
        return None

    def _there(self, unfinished: Path, path: str, told: Restored) -> bool:
        """Whether something has the place already; says what."""
        final = self._job.out / path
        if not final.exists():
            return False
        if same_files(unfinished, final):
            told.unchanged += 1
        else:
            told.failed[OCCUPIED] += 1
        unfinished.unlink()
        return True

    def _beside(self, unfinished: Path, path: str, told: Restored) -> None:
        """Give a file the first free one of its names, unless the same bytes have one already."""
        self._shelf.sync([unfinished])
        for number in count(1):
            name = path if number == 1 else f"{path}~{number}"
            final = self._job.out / name
            if final.exists() and same_files(unfinished, final):
                told.unchanged += 1
                unfinished.unlink()
                return
            if not final.exists():
                told.beside += number > 1
                self._name(unfinished, name, told)
                return

    def _name(self, unfinished: Path, path: str, told: Restored) -> None:
        size = unfinished.stat().st_size
        if self._shelf.name(unfinished, path):
            told.written += 1
            told.bytes += size
        else:
            told.failed[OCCUPIED] += 1

    def _path(self, row: Row) -> str | None:
        """Return the path an original had, checked: whoever sealed it may not choose a place outside."""
        parts = PurePosixPath(row.path).parts
        if (
            not parts
            or row.path.startswith("/")
            or ".." in parts
            or "\0" in row.path
            or parts[0] == UNFINISHED
        ):
            return None
        path = "/".join(parts)
        out = self._job.out.resolve()
        return path if (out / path).parent.resolve().is_relative_to(out) else None


def _restorer(job: RestoreJob, in_worker: Callable[[], None] | None) -> Restorer:
    if in_worker is not None:
        in_worker()
    return Restorer(job)
