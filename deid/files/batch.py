from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deid.cleaned import Decode, no_decoder
from deid.elements import Encoding, elements
from deid.engine import Deidentifier
from deid.files.instance import CleanFile, LeftOut, WithheldFile, deidentify_file, is_uid
from deid.files.placing import Shelf, holds
from deid.files.seals import Entry, Row, SealedFolder
from deid.files.tally import Fate, Note, SeriesKey, Tally
from deid.files.tree import Tree, read_file
from deid.keys.values import KeysError
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from deid.restore import RestoreRefused
from deid.science.check import ScienceCheck
from deid.science.outcome import Failed, Kept
from deid.seal.values import SealRefused
from deid.verdict import PixelRule

_PATIENT_ID = 0x00100020

SAME_UID = "a file with the same SOP Instance UID and other content was published first"
OCCUPIED = (
    "something else lies at its place in the output folder (made with other options, or by another version?)"
)


class CannotWrite(Exception):  # noqa: N818 - a state, not a mistake
    """Output or seals cannot be written; what is there is whole, and a next run goes on. Names no file."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be de-identified, how, and where to.

    `sealed`: where the originals are kept, None: nowhere. `seal_pixels`: they are kept with their pixels,
    else their seals refer to the pixels of the output. `rules`: a site's own rules about pixels, with the
    standard ones behind them. `decoder` makes, in each process, what decodes pixels that such a rule has
    blanked; without it compressed ones are withheld.
    """

    source: Tree
    out: Path = field(repr=False)
    site: SiteSecrets
    facility: str = ""
    profile: Profile = field(default_factory=Profile)
    rules: tuple[PixelRule, ...] | None = None
    decoder: Callable[[], Decode] | None = None
    sealed: Path | None = field(default=None, repr=False)
    seal_pixels: bool = False


class Item(NamedTuple):
    """One file of a batch, by its number in the tree; `later`: its SOP Instance UID came before."""

    number: int
    path: str
    later: bool = False


@dataclass
class _Work:
    """One file on its way; `file` is the de-identified one on disk, unfinished where `fresh`."""

    item: Item
    told: CleanFile | WithheldFile
    fate: Fate
    place: str = ""
    reason: str = ""
    file: Path | None = None
    fresh: bool = False
    removed: tuple[str, ...] = ()


class Workshop:
    """De-identifies batches of files, one engine for all of them.

    A batch in its order: the de-identified files are written under unfinished names and synced; the originals
    are sealed, proven to come back from these very files, and durable; then the de-identified files get their
    names, each of which is its commit point. A crash before leaves originals sealed that were not published
    yet; the next run finds them and goes on.
    """

    def __init__(self, job: Job) -> None:
        """Open what the job names."""
        self._job = job
        decode = no_decoder if job.decoder is None else job.decoder()
        self._engine = Deidentifier(job.profile, job.site, job.facility, job.rules, decode)
        self._science = ScienceCheck(job.profile)
        self._shelf = Shelf(job.out)
        self._sealed = None if job.sealed is None else SealedFolder(job.sealed, job.site)
        self._identifiers: dict[str, str] = {}

    def __call__(self, batch: Sequence[Item]) -> Tally:
        """De-identify a batch and return what became of it.

        Raises:
            CannotWrite: the output or sealed folder cannot be written.
        """
        tally = Tally()
        works = [work for item in batch if (work := self._deidentified(item, tally)) is not None]
        try:
            self._write(works)
            self._seal(works, tally)
            self._publish(works)
        except OSError as error:
            raise CannotWrite(error.strerror or type(error).__name__) from None
        for work in works:
            self._count(work, tally)
        return tally

    def _deidentified(self, item: Item, tally: Tally) -> _Work | None:
        tally.files += 1
        try:
            file = read_file(self._job.source.place(item.path))
            tally.read_bytes += len(file)
            told = deidentify_file(self._engine, file)
            kept = told.compared(self._science) if isinstance(told, CleanFile) else Kept()
        except OSError as error:
            tally.note(Note(item.number, Fate.FAILED, f"cannot be read: {error.strerror}", item.path))
            return None
        except Exception as error:  # noqa: BLE001 - a defect of ours met by one file must not stop the others
            reason = f"a defect of this program ({type(error).__name__})"
            tally.note(Note(item.number, Fate.FAILED, reason, item.path))
            return None
        if isinstance(told, LeftOut):
            tally.note(Note(item.number, Fate.LEFT_OUT, told.value, item.path))
            return None
        if isinstance(told, WithheldFile):
            return _Work(item, told, Fate.WITHHELD, reason=told.form.reason.value)
        if isinstance(kept, Failed):
            return _Work(item, told.withheld(), Fate.WITHHELD, reason=kept.reason)
        return _Work(item, told, Fate.PUBLISHED, self._place(told), removed=kept.removed)

    def _place(self, told: CleanFile) -> str:
        form = told.form
        patient = self._identifiers.get(form.patient_key)
        if patient is None:
            patient = self._identifiers[form.patient_key] = _patient_id(form.before)
        return f"{patient}/{form.study_uid}/{form.series_uid}/{form.sop_instance_uid}.dcm"

    def _write(self, works: Iterable[_Work]) -> None:
        """Write what is not yet there under unfinished names, durable."""
        written: dict[str, Path] = {}
        for work in works:
            if not isinstance(work.told, CleanFile):
                continue
            final = self._job.out / work.place
            there = written.get(work.place) or (final if final.exists() else None)
            if there is None:
                work.file = written[work.place] = self._shelf.write(work.told.pieces)
                work.fresh = True
            elif holds(there, work.told.pieces):
                work.file = there
            elif work.item.later or work.place in written:
                work.fate, work.reason = Fate.CONFLICT, SAME_UID
            else:
                work.fate, work.reason = Fate.REFUSED, OCCUPIED
        self._shelf.sync(written.values())

    def _seal(self, works: Iterable[_Work], tally: Tally) -> None:
        """Seal what is published, withheld or in conflict; what cannot be sealed is not published."""
        if self._sealed is None:
            return
        by_patient: defaultdict[str, list[_Work]] = defaultdict(list)
        for work in works:
            if work.fate is not Fate.REFUSED:
                by_patient[work.told.form.patient_key].append(work)
        for patient_key, own in by_patient.items():
            try:
                self._sealed.keep(patient_key, [self._entry(work) for work in own])
                tally.sealed += len(own)
            except (KeysError, RestoreRefused, SealRefused) as error:
                for work in own:
                    work.fate, work.reason = Fate.FAILED, f"cannot be sealed: {error}"

    def _entry(self, work: _Work) -> Entry:
        told, path = work.told, work.item.path
        if isinstance(told, WithheldFile):
            return Entry(told.sealable(), Row(path))
        sealable = told.sealable(whole=self._job.seal_pixels or work.file is None)
        if sealable.program.whole:
            return Entry(sealable, Row(path))
        return Entry(sealable, Row(path, work.place, told.native_bytes), work.file)

    def _publish(self, works: Iterable[_Work]) -> None:
        for work in works:
            if not work.fresh or work.file is None or work.fate is not Fate.PUBLISHED:
                continue
            if not self._shelf.name(work.file, work.place):
                work.fate, work.reason = Fate.REFUSED, OCCUPIED
        self._shelf.settle()

    def _count(self, work: _Work, tally: Tally) -> None:
        item, told = work.item, work.told
        if isinstance(told, WithheldFile):
            study, series = (
                uid if is_uid(uid) else "" for uid in (told.form.study_uid, told.form.series_uid)
            )
            tally.of(SeriesKey(study, series)).withhold(told.form)
        elif work.fate is Fate.PUBLISHED:
            tally.fates[Fate.PUBLISHED] += 1
            tally.unchanged += not work.fresh
            tally.written_bytes += sum(map(len, told.pieces)) if work.fresh else 0
            patient, study, series, _name = work.place.split("/")
            tally.of(SeriesKey(study, series)).publish(patient, told.form, work.removed)
            return
        tally.note(Note(item.number, work.fate, work.reason, item.path))


def _patient_id(header: bytes) -> str:
    """Return the pseudonym that a published header bears as its patient's ID."""
    found = next(one for one in elements(header, Encoding.EXPLICIT_LE) if one.tag == _PATIENT_ID)
    return header[found.value : found.end].decode("ascii").strip()
