"""Searches over QIDO-RS (PS3.18 10.6): pages until there are no more."""

from collections.abc import Iterator, Sequence

from dgis.client import dicom_json
from dgis.client.dicom_json import Row
from dgis.client.errors import AnswerError, BadQueryError
from dgis.client.transport import Transport

PREFIX = "/dicom-web"
_PAGE = 1000


def search(
    transport: Transport, path: str, parameters: Sequence[tuple[str, str]], unique: str
) -> Iterator[Row]:
    """Yield the matches of a search as pages come, each value of the unique key once.

    Raises:
        BadQueryError: the gateway does not match by one of the keys; it would find what nobody asked for.
        GridError: it does not answer, or refuses.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        page = [("limit", str(_PAGE)), ("offset", str(offset))]
        found, fields = transport.document(f"{PREFIX}/{path}", [*parameters, *page])
        if "not matched" in fields.get("warning", ""):
            raise BadQueryError(f"the gateway cannot match by all of these keys: {fields['warning']}")
        if not isinstance(found, list):
            raise AnswerError("the gateway's answer is no list of matches; is this its URL?")
        for document in found:
            match = dicom_json.row(document)
            uid = dicom_json.uid_of(match, unique)
            if uid not in seen:  # what came in between moves the pages
                seen.add(uid)
                yield match
        offset += len(found)
        total = fields.get("x-total-count", "")
        if not found or (total.isdecimal() and offset >= int(total)):
            return  # a gateway may give fewer than asked for, and need not say how many there are
