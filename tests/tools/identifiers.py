"""What in an original would tell whose it is: the values that no de-identified byte may hold."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.valuerep import VR

STANDARD_ROOT = "1.2.840.10008."  # UIDs of the standard name concepts, not things that happened
# UIDs that name vocabularies or software for everybody; PS3.15 Table E.1-1 keeps them or does not list them
_COMMON_UIDS = {
    "SOPClassUID",
    "ReferencedSOPClassUID",
    "CodingSchemeUID",
    "ContextUID",
    "MappingResourceUID",
    "ContextGroupExtensionCreatorUID",
    "ImplementationClassUID",
}
_SHORTEST = 7  # characters: shorter values stand in other words too
_SHORTEST_UID = 12  # the same for UIDs: shorter ones are the beginning of others
_SHORTEST_NUMBER = 10  # digits: shorter runs occur by chance in some thousand pseudonyms of 39 digits
# What some originals have for a name or a place, and every header for other reasons
_EVERYDAY = {
    "anonymized",
    "anonymous",
    "ge medical systems",
    "modality",
    "observer",
    "operator",
    "patient",
    "perfusion",
    "philips healthcare",
    "physician",
    "pixelmed",  # also the manufacturer of a file whose operator has its name
    "regression",
    "toshiba",
    "unknown",
    "verifying",
}
_IDENTIFYING = {
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "IssuerOfPatientID",
    "DeviceSerialNumber",
    "StationName",
    "InstitutionName",
    "InstitutionAddress",
    "PatientAddress",
    "PatientBirthName",
    "PatientTelephoneNumbers",
    "PerformedProcedureStepID",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
}


def uids(dataset: Dataset) -> set[str]:
    """Every UID, at any depth, that names this patient's things."""
    found = set()
    for element in _all(dataset):
        if element.VR == VR.UI and element.keyword not in _COMMON_UIDS:
            values = element.value if element.VM > 1 else [element.value]
            found |= {str(value) for value in values if value and not str(value).startswith(STANDARD_ROOT)}
    return {uid for uid in found if len(uid) >= _SHORTEST_UID}


def words(dataset: Dataset) -> set[str]:
    """Person names, their parts, and identifiers that are long enough to mean something elsewhere."""
    found = set()
    for element in _all(dataset):
        values = element.value if element.VM > 1 else [element.value]
        texts = {str(value).strip() for value in values if value}
        if element.VR == VR.PN:
            parts = {part.strip() for text in texts for group in text.split("=") for part in group.split("^")}
            found |= texts | parts
        elif element.keyword in _IDENTIFYING:
            found |= texts
    return {word for word in found if _tells(word)}


def dated(dataset: Dataset) -> dict[str, str]:
    """The day that each date or date-time element names, by where the element stands."""
    found: dict[str, str] = {}
    _days(dataset, "", found)
    return found


def _days(dataset: Dataset, above: str, found: dict[str, str]) -> None:
    for element in dataset:
        place = f"{above}/{element.tag:08x}"
        if element.VR == VR.SQ:
            for number, item in enumerate(element.value):
                _days(item, f"{place}[{number}]", found)
        elif element.VR in {VR.DA, VR.DT}:
            values = element.value if element.VM > 1 else [element.value]
            for number, value in enumerate(values):
                day = str(value or "")[:8]
                if len(day) == 8 and day.isdigit():
                    found[f"{place}:{number}"] = day


def _tells(word: str) -> bool:
    if len(set(word)) == 1:
        return False  # a run of one value, as in every image
    digits = word.lstrip("-").isdigit()
    return len(word) >= (_SHORTEST_NUMBER if digits else _SHORTEST) and word.lower() not in _EVERYDAY


def _all(dataset: Dataset) -> Iterator:
    for element in dataset.iterall():
        if element.VR != VR.SQ and not isinstance(element.value, Dataset):
            yield element
