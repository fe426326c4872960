from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from deid.files.batch import CannotWrite, Item, Job, Workshop
from deid.files.instance import LeftOut
from deid.files.placing import writing_alone
from deid.files.pool import workers
from deid.files.seals import SealedFolder
from deid.files.tally import Fate, Note, Tally
from deid.files.tree import Found, sop_instance_uid

# A batch is what a worker holds at a time, and what is sealed together.
BATCH_BYTES = 32 << 20
BATCH_FILES = 512
# From so many files on a batch ends where a folder ends: series stay together, and a folder that is added
# later leaves the others' batches, and so their seals, as they are.
_FOLDER_FILES = 32
_BATCHES_A_PROCESS = 4  # fewer are done before another process has started
_UID_DIGEST_BYTES = 16

Progress = Callable[[int, int], None]


class _Planned(NamedTuple):
    item: Item
    size: int


@dataclass
class Plan:
    """Every file of a tree looked at: what is to be de-identified, in which order, and what is left out.

    Of files with one SOP Instance UID the first in the order of the tree comes before all others, whichever
    process takes it up: so the same tree gives the same output on one core and on many.
    """

    tally: Tally = field(default_factory=Tally)
    first: list[_Planned] = field(default_factory=list)
    later: list[_Planned] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files are to be de-identified."""
        return len(self.first) + len(self.later)


def plan(files: Iterable[Found], look: Callable[[str], str | LeftOut]) -> Plan:
    """Look at files; `look` returns the SOP Instance UID of one by its path, or why it is left out."""
    made = Plan()
    seen: set[bytes] = set()
    for number, found in enumerate(files, start=1):
        told: str | LeftOut
        try:
            told = look(found.path) if found.left_out is None else found.left_out
        except OSError as error:
            made.tally.files += 1
            made.tally.note(Note(number, Fate.FAILED, f"cannot be read: {error.strerror}", found.path))
            continue
        if isinstance(told, LeftOut):
            made.tally.files += 1
            made.tally.note(Note(number, Fate.LEFT_OUT, told.value, found.path))
            continue
        digest = blake2b(told.encode(errors="surrogateescape"), digest_size=_UID_DIGEST_BYTES).digest()
        later = bool(told) and digest in seen
        seen.add(digest)
        planned = _Planned(Item(number, found.path, later), found.size)
        (made.later if later else made.first).append(planned)
    return made


def batches(planned: Iterable[_Planned]) -> Iterator[list[Item]]:
    """Cut files into batches: of one folder where it has enough of them, else of neighbours."""
    batch: list[Item] = []
    size, folder = 0, ""
    for item, item_bytes in planned:
        here = item.path.rpartition("/")[0]
        full = size + item_bytes > BATCH_BYTES or len(batch) >= BATCH_FILES
        if batch and (full or (here != folder and len(batch) >= _FOLDER_FILES)):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size, folder = size + item_bytes, here
    if batch:
        yield batch


def deidentify_tree(
    job: Job,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    in_worker: Callable[[], None] | None = None,
) -> Tally:
    """De-identify all files of a tree into another, and keep the originals sealed where the job says so.

    `jobs` processes share the work; `progress` is told files done and files in all; `in_worker` is called at
    the start of each further process. With more than one the calling module must be importable without
    running (`if __name__ == "__main__"`).

    Raises:
        deid.files.placing.Occupied: another run writes into the output or the sealed folder.
        deid.files.batch.CannotWrite: the output or the sealed folder cannot be written.
        deid.files.seals.SealsRefused: the sealed folder is no such folder, or of another secret.
        OSError: a folder of the tree cannot be listed.
    """
    with ExitStack() as held:
        _hold(job, held)
        made = plan(job.source.walk(), lambda path: sop_instance_uid(job.source.place(path)))
        told, total = made.tally, made.files
        share = 1 + sum(1 for _ in batches(made.first)) // _BATCHES_A_PROCESS
        pool = held.enter_context(workers(partial(_workshop, job, in_worker), min(jobs, share)))
        done = 0
        for one_by_one, items in ((False, made.first), (True, made.later)):
            for tally in pool.run(batches(items), one_by_one=one_by_one):
                told.add(tally)
                done += tally.files
                if progress is not None:
                    progress(done, total)
        told.notes.sort()
    return told


def _hold(job: Job, held: ExitStack) -> None:
    try:
        held.enter_context(writing_alone(job.out, 0o777))
        if job.sealed is not None:
            held.enter_context(writing_alone(job.sealed, 0o700))
            SealedFolder.prepare(job.sealed)
            SealedFolder(job.sealed, job.site)  # refused here, before anything is read
    except OSError as error:
        raise CannotWrite(error.strerror or type(error).__name__) from None


def _workshop(job: Job, in_worker: Callable[[], None] | None) -> Workshop:
    if in_worker is not None:
        in_worker()
    return Workshop(job)
