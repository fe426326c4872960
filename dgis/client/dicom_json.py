"""The DICOM JSON model (PS3.18 Annex F) as rows of plain values."""

import re
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

from dgis.client.errors import AnswerError

Row = Mapping[str, Any]

# Looser than PS3.5 9.1: identifiers that senders made up are answered as they are. Never a path of its own.
_UID = re.compile(r"(?=.{1,64}\Z)[0-9.]*[0-9][0-9.]*")
_NUMBERS = frozenset({"DS", "FL", "FD", "IS", "SL", "SS", "UL", "US", "SV", "UV"})


def row(document: Any) -> Row:  # noqa: ANN401 (JSON)
    """Return keyword to value of one match: text, number, or a list of several; absent ones are left out.

    Raises:
        AnswerError: it is no DICOM JSON object.
    """
    if not isinstance(document, dict):
        raise AnswerError("the gateway's answer is no DICOM JSON; is this its URL?")
    found: dict[str, Any] = {}
    for tag, element in document.items():
        keyword = _keyword(tag)
        if not keyword or not isinstance(element, dict) or element.get("vr") == "SQ":
            continue
        values = [_plain(value, str(element.get("vr", ""))) for value in element.get("Value") or ()]
        if values:
            found[keyword] = values[0] if len(values) == 1 else values
    return found


def uid_of(match: Row, keyword: str) -> str:
    """Return a UID of a row, safe in paths and names of files.

    Raises:
        AnswerError: it is none.
    """
    value = match.get(keyword)
    if not isinstance(value, str) or not _UID.fullmatch(value):
        raise AnswerError(f"the gateway's answer has no valid {keyword}")
    return value


def is_number(keyword: str) -> bool:
    """Whether values of an attribute are numbers."""
    return _vr(keyword) in _NUMBERS


def is_date(keyword: str) -> bool:
    """Whether values of an attribute are dates."""
    return _vr(keyword) == "DA"


def _vr(keyword: str) -> str:
    try:
        return dictionary_VR(keyword)
    except KeyError:
        return ""


def _keyword(tag: str) -> str:
    try:
        return keyword_for_tag(int(tag, 16))
    except ValueError:
        return ""


def _plain(value: Any, vr: str) -> Any:  # noqa: ANN401 (JSON)
    if vr == "PN" and isinstance(value, dict):
        return value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic") or ""
    if vr in _NUMBERS and isinstance(value, str):  # PS3.18 F.2.2 lets numbers be strings
        try:
            return int(value)
        except ValueError:
            return float(value)
    return value
