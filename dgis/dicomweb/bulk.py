"""WADO-RS: frames and bulk data of an instance (PS3.18 10.4.1.1.4 and 10.4.1.1.3, 8.7.3.3)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from deid.elements import Encoding, WalkError, elements, items
from dgis.dicomweb.accept import Offer, acceptable
from dgis.dicomweb.described import PIXELS, Header
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Feed, begin
from dgis.dicomweb.frames import Frames, frames_of
from dgis.dicomweb.headers import Opening
from dgis.dicomweb.image import NoFramesError
from dgis.dicomweb.images import AWAY, Transfer, not_now
from dgis.dicomweb.multipart import Buffer, Multipart, Part
from dgis.dicomweb.named import Named
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.syntaxes import LOSSY
from dgis.transcode.errors import TranscodeError
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN, targets_of
from dgis.web.problems import Problem
from storage_nodes.record.values import HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL

OCTETS = "application/octet-stream"

# PS3.18 Table 8.7.3-5.
_MEDIA_TYPES = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (50, 51, 57, 70)), "image/jpeg"),
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (80, 81)), "image/jls"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (90, 91)), "image/jp2"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (92, 93)), "image/jpx"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (201, 202, 203)), "image/jphc"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (110, 111, 112)), "image/jxl"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (100, 101)), "video/mpeg2"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in range(102, 107)), "video/mp4"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (107, 108)), "video/H265"),
}
_NUMBERS = re.compile(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8}){0,9999}")
_PATH = re.compile(r"[0-9A-Fa-f]{8}(/[1-9][0-9]{0,5}/[0-9A-Fa-f]{8}){0,63}")

Pieces = Iterable[Buffer]
Bodies = Iterable[tuple[Pieces, str]]  # with the transfer syntax each is in, "" where it has none
_UNREADABLE = (NoFramesError, WalkError, TranscodeError)


async def frames(door: WebDoor, request: Request) -> Response:
    """Give the frames that a path lists, one part each.

    Raises:
        Problem: 400, 401, 403, 404, 406; 503 where the first of them cannot be had now.
    """
    listed = request.path_params["frames"]
    if not _NUMBERS.fullmatch(listed):
        raise Problem(400, "frames", "frames are listed by their numbers, from 1, with commas")
    return await _given(door, request, [int(each) - 1 for each in listed.split(",")])


async def bulk_data(door: WebDoor, request: Request) -> Response:
    """Give the value of one element, named by its path: tags, and numbers of items from 1 between them.

    Raises:
        Problem: as `frames`.
    """
    path = request.path_params["path"].upper()
    if not _PATH.fullmatch(path):
        raise Problem(400, "bulk_data", "bulk data is named as the metadata names it")
    steps = path.split("/")
    if len(steps) == 1 and int(steps[0], 16) in PIXELS:
        return await _given(door, request, None)
    asker = await door.asker(request)
    named = Named.of_path(request.path_params)
    offer = acceptable(request, Parameters.of(request)).choose(
        (Offer(OCTETS, multipart=True), Offer(OCTETS, multipart=False))
    )
    transfer = await door.threads.run(lambda: door.images.retrieve(asker, named, "bulk_data"))
    with _Refusing(transfer):
        value = await door.threads.run(lambda: _value(door, transfer, steps))
    return await _answer(door, transfer, [(value, "")], offer)


async def _given(door: WebDoor, request: Request, numbers: Sequence[int] | None) -> Response:
    """Give frames, or where `numbers` is None all of them: as one value where they are not compressed."""
    asker = await door.asker(request)
    named = Named.of_path(request.path_params)
    takes = acceptable(request, Parameters.of(request))
    transfer = await door.threads.run(lambda: door.images.retrieve(asker, named, "frames"))
    with _Refusing(transfer):
        opened = await door.threads.run(
            lambda: frames_of(Opening(door.images), transfer.refs[0], transfer.instances[0])
        )
        wanted = range(opened.count) if numbers is None else numbers
        if any(number >= opened.count for number in wanted):
            raise Problem(404, "no_such_frame", f"the instance has {opened.count} frames")
        offer = takes.choose(offers(opened, single=len(wanted) == 1 or numbers is None))
    native = offer.name == OCTETS
    take = opened.native if native else opened.as_stored
    if native and numbers is None:
        whole = (take(number) for number in wanted)
        return await _answer(door, transfer, [(whole, offer.syntax)], offer)
    if not offer.multipart and len(wanted) > 1:
        transfer.end("not_acceptable")
        raise Problem(406, "not_acceptable", "several frames are several parts", recorded=True)
    return await _answer(door, transfer, (((take(number),), offer.syntax) for number in wanted), offer)


def offers(opened: Frames, *, single: bool) -> list[Offer]:
    """Return what frames can be answered as, the default first (PS3.18 8.7.3.3): native, unless that lost."""
    stored = opened.stored[0]
    native = EXPLICIT_LITTLE_ENDIAN in opened.stored or EXPLICIT_LITTLE_ENDIAN in targets_of(stored)
    kinds = [(OCTETS, EXPLICIT_LITTLE_ENDIAN)] if native else []
    if stored != EXPLICIT_LITTLE_ENDIAN:
        lies = [(_MEDIA_TYPES.get(stored, OCTETS), stored)]
        if stored == HTJ2K_LOSSLESS_RPCL:  # whose codestreams are those of HTJ2K, in a certain order
            lies.append((_MEDIA_TYPES[stored], HTJ2K_LOSSLESS))
        kinds = lies + kinds if stored in LOSSY else kinds + lies
    return [
        Offer(name, multipart=multipart, syntax=syntax, as_stored=syntax == stored)
        for multipart in ((True, False) if single else (True,))
        for name, syntax in kinds
    ]


@dataclass(frozen=True, slots=True)
class _Refusing:
    """Turns what goes wrong before anything left into problems, and records it."""

    transfer: Transfer

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        self.transfer.end(error.reason if isinstance(error, Problem) else type(error).__name__)
        if isinstance(error, Problem):
            raise Problem(error.status, error.reason, error.detail, error.headers, recorded=True) from None
        if isinstance(error, _UNREADABLE):
            words = "it holds nothing that can be had so"
            raise Problem(404, "nothing_of_it", words, recorded=True) from None
        if isinstance(error, AWAY):
            raise not_now() from None


def _value(door: WebDoor, transfer: Transfer, steps: Sequence[str]) -> Pieces:
    """Return the value of an element.

    Raises:
        Problem: 404 where there is none.
    """
    header = Opening(door.images).header(transfer.refs[0], transfer.instances[0])
    for stretch in header.stretches:
        found = _found(stretch, header, steps)
        if found is not None:
            return (found,)
    raise Problem(404, "not_found", "nothing here that this caller may have")


def _found(stretch: Buffer, header: Header, steps: Sequence[str]) -> Buffer | None:
    encoding: Encoding = header.encoding
    start, stop = 0, len(stretch)
    for place in range(0, len(steps), 2):
        tag = int(steps[place], 16)
        element = next((each for each in elements(stretch, encoding, start, stop) if each.tag == tag), None)
        if element is None:
            return None
        if place == len(steps) - 1:
            return memoryview(stretch)[element.value : element.value_end]
        listed = list(items(stretch, element, encoding))
        number = int(steps[place + 1])
        if number > len(listed):
            return None
        start, stop, encoding = listed[number - 1]
    return None


async def _answer(door: WebDoor, transfer: Transfer, bodies: Bodies, offer: Offer) -> Response:
    pieces: Iterator[Buffer]
    if offer.multipart:
        body = Multipart(offer.name)
        media_type = body.media_type
        parts = (Part({"Content-Type": _typed(offer.name, syntax)}, value) for value, syntax in bodies)
        pieces = body.pieces(parts)
    else:
        media_type = _typed(offer.name, offer.syntax)
        pieces = (piece for value, _syntax in bodies for piece in value)
    try:
        return await begin(Feed(_counted(transfer, pieces), transfer.end), door.threads, media_type)
    except AWAY as error:
        raise not_now() from error
    except _UNREADABLE as error:
        words = "it holds nothing that can be had so"
        raise Problem(404, "nothing_of_it", words, recorded=True) from error


def _typed(name: str, syntax: str) -> str:
    return f"{name}; transfer-syntax={syntax}" if syntax else name


def _counted(transfer: Transfer, pieces: Iterator[Buffer]) -> Iterator[Buffer]:
    yield from pieces
    transfer.completed += 1
