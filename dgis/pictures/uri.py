"""`/wado`: one instance by query parameters (PS3.18 section 9), as a file or as a picture."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from catalog.release import Asker
from dgis.dicomweb.accept import Offer, acceptable
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Buffer, Feed, begin
from dgis.dicomweb.images import AWAY, Transfer, not_now
from dgis.dicomweb.named import Named, uid
from dgis.dicomweb.parameters import Parameters
from dgis.pictures import parameters
from dgis.pictures.desk import Desk
from dgis.rendering.view import MediaType, Region, View
from dgis.retriever.outgoing import Sendable
from dgis.transcode.errors import TranscodeError
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN, targets_of
from dgis.web.problems import Problem
from storage_nodes.record.part10 import file_head

_DICOM = "application/dicom"
_UIDS = ("studyuid", "seriesuid", "objectuid")
_ONLY_PICTURES = frozenset(
    {"rows", "columns", "region", "windowcenter", "windowwidth", "imagequality", "framenumber"}
)
_OF_TRANSFER = ("asker", "query", "refs", "instances", "how", "recorder")
_PICTURES = [Offer(each.value, multipart=False) for each in MediaType]
_KINDS = {_DICOM, *(each.value for each in MediaType)}


async def wado(door: WebDoor, desk: Desk, request: Request) -> Response:
    """Answer one request.

    Raises:
        Problem: 400, 401, 403, 404, 406; 503 where the instance cannot be had now.
    """
    asker = await door.asker(request)
    said = parameters.once([(name.lower(), value) for name, value in Parameters.of(request)])
    if said.get("requesttype") != "WADO":
        raise Problem(400, "malformed", "requestType=WADO is needed")
    if not all(said.get(name) for name in _UIDS):
        raise Problem(400, "malformed", "studyUID, seriesUID and objectUID are needed")
    if said.get("anonymize", "yes") != "yes":
        raise Problem(400, "malformed", "anonymize is yes, or not given")
    named = Named(*(uid(said[name]) for name in _UIDS))
    wanted = _content(said, request)
    if wanted == _DICOM:
        _require_plain(said)
        transfer = await door.threads.run(partial(_found, desk, asker, named, said))
        return await _file(door, transfer, said.get("transfersyntax", ""))
    if "transfersyntax" in said:
        raise Problem(400, "malformed", "transferSyntax goes with contentType=application/dicom")
    view = parameters.uri_view(said, MediaType(wanted or MediaType.JPEG.value))
    region, frame = parameters.region_of(said), parameters.frame_number(said)
    transfer = await door.threads.run(partial(_found, desk, asker, named, said))
    chosen = bool(wanted) or frame is not None
    try:
        picture = await door.threads.run(partial(_picture, desk, transfer, view, region, frame, chosen))
    except BaseException as error:
        transfer.end(error.reason if isinstance(error, Problem) else type(error).__name__)
        raise
    if picture is None:
        return await _file(door, transfer, "")
    transfer.completed = 1
    transfer.end()
    return Response(picture, media_type=view.media_type.value)


def routes(door: WebDoor, desk: Desk) -> APIRouter:
    """Return the route; OpenAPI does not describe it: the standard does."""
    router = APIRouter()
    router.add_route("/wado", partial(_answered, door, desk), ["GET"], include_in_schema=False)
    return router


async def _answered(door: WebDoor, desk: Desk, request: Request) -> Response:
    return await wado(door, desk, request)


def _content(said: dict[str, str], request: Request) -> str:
    """Return the media type asked for; "" where what the instance is decides (PS3.18 9.1.2.2.1).

    Raises:
        Problem: 406 where it is none that is given here.
    """
    names = [each.partition(";")[0].strip().lower() for each in said.get("contenttype", "").split(",")]
    if names == [""]:
        takes = acceptable(request, Parameters(()))
        if takes.ranges and all(each.takes(_DICOM) and not each.wild for each in takes.ranges):
            return _DICOM
        return "" if any(each.wild for each in takes.ranges) else takes.choose(_PICTURES).name
    found = next((name for name in names if name in _KINDS), None)
    if found is None:
        raise Problem(406, "not_acceptable", "contentType is application/dicom, image/jpeg or image/png")
    return found


def _require_plain(said: dict[str, str]) -> None:
    """PS3.18 9.1.2.2: what shapes a picture does not go with a file."""
    if _ONLY_PICTURES & said.keys():
        raise Problem(400, "malformed", "parameters of pictures do not go with application/dicom")


def _found(desk: Desk, asker: Asker, named: Named, said: dict[str, str]) -> Transfer:
    if "anonymize" in said:
        return desk.deidentified(asker, named, "wado")
    return desk.images.retrieve(asker, named, "wado")


def _picture(  # noqa: PLR0913, PLR0917 (what a URI may say of a picture)
    desk: Desk,
    transfer: Transfer,
    view: View,
    region: tuple[float, float, float, float] | None,
    frame: int | None,
    chosen: bool,  # noqa: FBT001 (whether the request itself asks for a picture)
) -> bytes | None:
    """Return a picture; None where what is no single frame is to be sent as a file."""
    instance = transfer.instances[0]
    try:
        if region is not None:
            view = replace(view, region=_pixels(desk.size(instance), region))
        picture = desk.picture(instance, frame or 1, view)
    except Problem as problem:
        if chosen or problem.reason not in {"no_frame", "no_picture"}:
            raise
        return None
    return picture.data if chosen or picture.frames == 1 else None


def _pixels(size: tuple[int, int], region: tuple[float, float, float, float]) -> Region:
    (rows, columns), (left, top, right, bottom) = size, region
    return Region(left * columns, top * rows, (right - left) * columns, (bottom - top) * rows)


async def _file(door: WebDoor, transfer: Transfer, asked: str) -> Response:
    """Send an instance as a file: explicit VR little endian where no transfer syntax is asked for.

    What cannot be had in that goes as it lies (PS3.18 9.1.2.2.2 asks for explicit VR, and video has none).
    """
    instance = transfer.instances[0]
    stored = instance.transfer_syntax
    target = asked or EXPLICIT_LITTLE_ENDIAN
    if target != stored and target not in targets_of(stored):
        if asked:
            transfer.end("not_acceptable")
            raise Problem(406, "not_acceptable", "the instance cannot be had in that transfer syntax")
        target = stored
    try:
        return await begin(Feed(_pieces(door, transfer, target), transfer.end), door.threads, _DICOM)
    except AWAY as error:
        raise not_now() from error
    except (TranscodeError, ValueError):
        if asked:
            raise Problem(406, "not_acceptable", "it cannot be had in that transfer syntax") from None
    try:
        # The trail has the attempt that failed; what is sent instead is recorded as well.
        again = Transfer(*(getattr(transfer, name) for name in _OF_TRANSFER))
        return await begin(Feed(_pieces(door, again, stored), again.end), door.threads, _DICOM)
    except AWAY as error:
        raise not_now() from error


def _pieces(door: WebDoor, transfer: Transfer, target: str) -> Iterator[Buffer]:
    for _ref, instance in transfer.each():
        yield from _written(door, instance, target)


def _written(door: WebDoor, instance: Sendable, target: str) -> Iterator[Buffer]:
    as_stored = target == instance.transfer_syntax
    pieces = iter(instance.open() if as_stored else door.images.transcoder.convert(instance, target))
    first = next(pieces, b"")
    yield file_head(instance.sop_class_uid, instance.sop_instance_uid, target)
    yield first
    yield from pieces
