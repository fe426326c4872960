"""What became of UIDs and dates: original and de-identified files side by side, read by pydicom."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

from pydicom import dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_DUMMIES = {"19000101", "19000101000000"}  # what stands where a date has to
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")


@dataclass
class Outcome:
    """What stands for each UID, by how many days the dates of each patient moved, and what is wrong."""

    uids: dict[str, str] = field(default_factory=dict)
    shifts: dict[str, set[int]] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    dates: int = 0
    kept: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)

    @property
    def breaks(self) -> list[str]:
        return [*self.kept, *self.inconsistent, *self.invalid]


def mapping(originals: Mapping[str, bytes], outputs: Mapping[str, bytes]) -> Outcome:
    """Compare files of the same name; an original without an output was not published."""
    found = Outcome()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in outputs.items():
            before, after = dcmread(BytesIO(originals[name]), force=True), dcmread(BytesIO(data))
            found.patients.add(str(after.get("PatientID")))
            for place, one, other in _pairs(before, after, name):
                _note(found, str(before.get("PatientID")), place, one, other)
            _check_form(found, after, name)
    pseudonyms = list(found.uids.values())
    if len(set(pseudonyms)) != len(pseudonyms):
        found.inconsistent.append("two UIDs have one pseudonym")
    return found


def unresolved(original: bytes, output: bytes, pseudonyms: Mapping[str, str]) -> list[str]:
    """Return the UIDs that the original holds more often than the output holds what stands for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = (Counter(_all_uids(dcmread(BytesIO(one), force=True))) for one in (original, output))
    return [uid for uid, count in before.items() if after[pseudonyms.get(uid, "")] < count]


def _all_uids(dataset: Dataset) -> Iterator[str]:
    for element in dataset.iterall():
        if element.VR == "UI":
            yield from (uid for uid in _texts(element) if uid and uid not in UID_dictionary)


def _note(found: Outcome, patient: str, place: str, one: DataElement, other: DataElement) -> None:
    for original, published in zip(_texts(one), _texts(other), strict=False):
        if other.VR == "UI" and original and original not in UID_dictionary:
            known = found.uids.setdefault(original, published)
            if known != published:
                found.inconsistent.append(f"{place}: {published} instead of {known}")
            if original == published:
                found.kept.append(place)
        if other.VR in {"DA", "DT"}:
            days = _day(original), _day(published)
            if None not in days and published not in _DUMMIES:
                found.dates += 1
                found.shifts.setdefault(patient, set()).add((days[0] - days[1]).days)


def _check_form(found: Outcome, dataset: Dataset, name: str) -> None:
    for element in dataset.iterall():
        if element.VR == "UI":
            wrong = [one for one in _texts(element) if one and not (len(one) <= 64 and _UID.fullmatch(one))]
            found.invalid += [f"{name} {element.tag}: {one!r}" for one in wrong]


def _pairs(before: Dataset, after: Dataset, place: str) -> Iterator[tuple[str, DataElement, DataElement]]:
    """Yield what stands in the same place of both, at every depth."""
    for tag in after.keys() & before.keys():
        one, other = _element(before, tag), _element(after, tag)
        if one is None or other is None:
            continue
        if other.VR == "SQ" == one.VR:
            if len(one.value) == len(other.value):
                for number, items in enumerate(zip(one.value, other.value, strict=True)):
                    yield from _pairs(*items, f"{place} {other.tag}[{number}]")
        else:
            yield f"{place} {other.tag}", one, other


def _element(dataset: Dataset, tag: int) -> DataElement | None:
    try:
        return dataset[tag]
    except Exception:  # noqa: BLE001 - what was planted is no value of its VR
        return None


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if isinstance(value, bytes):
        value = value.decode("latin_1").strip("\0 ").split("\\")
    return [str(one) for one in (value if isinstance(value, (list, tuple)) or element.VM > 1 else [value])]


def _day(text: str) -> date | None:
    match = _DATE.match(text)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None
