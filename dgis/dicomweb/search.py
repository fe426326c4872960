"""QIDO-RS: studies, series and instances by their attributes (PS3.18 10.6)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from catalog.find import Match
from catalog.query import Fault, InvalidQuery, Level
from catalog.release import Asker
from dgis.dicomweb.accept import Offer, acceptable
from dgis.dicomweb.asked import Search, search_of
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.matches import MatchWriter, Values
from dgis.dicomweb.multipart import Multipart, Part
from dgis.dicomweb.parameters import Parameters
from dgis.web.problems import Problem

JSON = Offer("application/dicom+json", multipart=False)
PLAIN_JSON = Offer("application/json", multipart=False)
XML = Offer("application/dicom+xml", multipart=True)
_OFFERS = (JSON, PLAIN_JSON, XML)
_MORE = '299 dgis "There are more results that can be requested"'
_UNMATCHED = '299 dgis "These attributes are not matched by and were left out: {}"'


@dataclass(frozen=True, slots=True)
class _Found:
    """One page, encoded; `total` is None where there are more and nobody counted."""

    encoded: list[bytes] = field(repr=False)
    more: bool
    total: int | None


async def search(level: Level, door: WebDoor, request: Request) -> Response:
    """Answer a search.

    Raises:
        Problem: 400 where it cannot be answered as it is, 401, 403, 406, 413, 414.
    """
    asker = await door.asker(request)
    parameters = Parameters.of(request)
    offer = acceptable(request, parameters).choose(_OFFERS)
    asked = search_of(level, request.path_params, parameters)
    writer = MatchWriter(asked.keywords, level, door.base(request))
    write = writer.xml if offer is XML else writer.json
    try:
        found = await door.threads.run(lambda: _page(door, asker, asked, write))
    except InvalidQuery as invalid:
        door.images.found(asker, asked.query, 0, invalid.fault.name.lower())
        raise _refused(invalid) from None
    headers = {} if found.total is None else {"X-Total-Count": str(found.total)}
    warnings = [_MORE] if found.more else []
    if asked.unmatched:
        warnings.append(_UNMATCHED.format(", ".join(asked.unmatched)))
    if warnings:
        headers["Warning"] = ", ".join(warnings)
    if offer is XML:
        if not found.encoded:  # a multipart body has a part at least (RFC 2046 5.1.1)
            return Response(status_code=204, headers=headers)
        body = Multipart(XML.name)
        fields = {"Content-Type": f"{XML.name}; charset=utf-8"}
        parts = body.pieces(Part(fields, (each,)) for each in found.encoded)
        return Response(b"".join(parts), 200, headers, body.media_type)
    return Response(b"[" + b",".join(found.encoded) + b"]", 200, headers, offer.name)


def _refused(invalid: InvalidQuery) -> Problem:
    status = 413 if invalid.fault is Fault.SIZE else 400
    return Problem(status, invalid.fault.name.lower(), invalid.reason, recorded=True)


def _page(door: WebDoor, asker: Asker, asked: Search, write: Callable[[Values], bytes]) -> _Found:
    """Take one page of matches, in the catalog's order.

    From a page before it is known where this one begins. Otherwise what stands before it is found and left
    out; of originals the trail then says that they were looked at, though they did not leave.
    """
    images = door.images
    cursor = door.pages.cursor(asker, asked.query, asked.offset) if asked.offset else None
    skipped = 0 if cursor is not None else asked.offset
    query = replace(asked.query, limit=skipped + asked.limit + 1, after=cursor)
    matches: Iterator[Match] = images.find(asker, query)
    before = sum(1 for _match in islice(matches, skipped))
    encoded: list[bytes] = []
    last: Match | None = None
    for match in islice(matches, asked.limit):
        encoded.append(write(match.values))
        last = match
    more = next(iter(matches), None) is not None
    images.found(asker, asked.query, len(encoded))
    end = asked.offset + len(encoded)
    if more and last is not None:
        door.pages.ended(asker, asked.query, end, last.cursor)
    whole = not more and before == skipped
    return _Found(encoded, more, end if whole and (encoded or not asked.offset) else None)
