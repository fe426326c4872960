"""Which output belongs to which original, and what of it no longer fits together."""

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from tests.tools.dciodvfy import added, complaints, is_there, understands

_OWN = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_REFERENCES = ("ReferencedSOPInstanceUID",)
_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_LONGEST_UID = 64
_AMBIGUOUS = {"twice.dcm"}  # has elements twice: which of them counts, readers disagree


@dataclass
class Breaks:
    """What is broken, counted; `errors` is None where dciodvfy is not here."""

    kept: int = 0
    inconsistent: int = 0
    invalid: int = 0
    dangling: int = 0
    dates: int = 0
    errors: int | None = None


@dataclass(frozen=True)
class Pair:
    """An original and what was made of it."""

    given: Path
    made: Path
    before: Dataset = field(repr=False)
    after: Dataset = field(repr=False)


def pairs(given: Path, out: Path) -> list[Pair]:
    """Match outputs with originals: by their names, or by instance numbers, which nobody takes out."""
    paths = (path for path in sorted(given.iterdir()) if path.name not in _AMBIGUOUS)
    before = {path.name: data for path in paths if (data := _read(path)) is not None}
    by_number = {str(data.get("InstanceNumber")): name for name, data in before.items()}
    found = []
    for path in sorted(one for one in out.rglob("*") if one.is_file()):
        data = _read(path)
        if data is None:
            continue
        name = path.name if path.name in before else by_number.get(str(data.get("InstanceNumber")), "")
        if name:
            found.append(Pair(given / name, path, before[name], data))
    return found


def breaks(found: list[Pair]) -> Breaks:
    """Count what no longer fits together in the outputs."""
    counted = Breaks()
    became: defaultdict[str, set[str]] = defaultdict(set)
    for pair in found:
        for keyword in _OWN:
            old, new = (str(side.get(keyword) or "") for side in (pair.before, pair.after))
            counted.kept += bool(old) and old == new
            if old and new:
                became[old].add(new)
        counted.invalid += sum(not _is_uid(uid) for uid in _uids(pair.after))
    counted.inconsistent = sum(len(new) - 1 for new in became.values())
    counted.inconsistent += _merged(became)
    counted.dangling = _dangling(found, became)
    counted.dates = _moved_apart(found)
    if is_there():
        judged = (pair for pair in found if understands(pair.given))
        new_errors = (added(complaints(pair.given), complaints(pair.made)) for pair in judged)
        counted.errors = sum(map(len, new_errors))
    return counted


def _merged(became: Mapping[str, set[str]]) -> int:
    """Count the new UIDs that stand for more than one old one."""
    return sum(count - 1 for count in Counter(uid for new in became.values() for uid in new).values())


def _dangling(found: list[Pair], became: Mapping[str, set[str]]) -> int:
    """Count references to instances that were written, and that no longer lead to them."""
    count = 0
    for pair in found:
        wanted = [uid for uid in _values(pair.before, _REFERENCES) if uid in became]
        there = Counter(_values(pair.after, _REFERENCES))
        for uid in wanted:
            reached = next((new for new in became[uid] if there[new]), None)
            count += reached is None
            if reached is not None:
                there[reached] -= 1
    return count


def _moved_apart(found: list[Pair]) -> int:
    """Count dates that were lost, or moved by other days than most dates of the patient."""
    shifts: defaultdict[str, list[int | None]] = defaultdict(list)
    for pair in found:
        for keyword in _DATES:
            old, new = _day(pair.before.get(keyword)), _day(pair.after.get(keyword))
            if old is not None:
                shifts[str(pair.before.get("PatientID"))].append((old - new).days if new else None)
    count = 0
    for moved in shifts.values():
        usual = Counter(days for days in moved if days is not None).most_common(1)
        count += len(moved) - (usual[0][1] if usual else 0)
    return count


def _day(value: object) -> date | None:
    try:
        return datetime.strptime(str(value), "%Y%m%d").date()  # noqa: DTZ007 - a day of the calendar
    except ValueError:
        return None


def _values(data: Dataset, keywords: tuple[str, ...]) -> Iterator[str]:
    for element in data.iterall():
        if element.keyword in keywords and element.value:
            yield str(element.value)


def _uids(data: Dataset) -> Iterator[str]:
    for element in (*data.file_meta, *data.iterall()):
        if element.VR == "UI" and element.value:
            many = element.value if not isinstance(element.value, str | UID) else [element.value]
            yield from map(str, many)


def _is_uid(text: str) -> bool:
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def _read(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom thinks of planted files is not the subject
        try:
            data = dcmread(path)
            list(data.iterall())
        except Exception:  # noqa: BLE001 - a file that cannot be read is no output
            return None
    return data
