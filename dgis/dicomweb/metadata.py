"""WADO-RS: metadata of a study, series or instance (PS3.18 10.4.1.1.2), bulk data by reference."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from deid.elements import WalkError
from dgis.dicomweb.accept import Offer, acceptable
from dgis.dicomweb.described import Describer
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Feed, begin
from dgis.dicomweb.forms import JsonForm, XmlForm
from dgis.dicomweb.headers import each_header
from dgis.dicomweb.images import AWAY, Images, Transfer, not_now
from dgis.dicomweb.multipart import Buffer, Multipart, Part
from dgis.dicomweb.named import Named
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.search import JSON, PLAIN_JSON, XML
from dgis.transcode.errors import TranscodeError

_OFFERS: tuple[Offer, ...] = (JSON, PLAIN_JSON, XML)


async def metadata(door: WebDoor, request: Request) -> Response:
    """Give the headers of what a resource names.

    Raises:
        Problem: 400, 401, 403, 404, 406; 503 where the first of them cannot be had now.
    """
    asker = await door.asker(request)
    named = Named.of_path(request.path_params)
    offer = acceptable(request, Parameters.of(request)).choose(_OFFERS)
    transfer = await door.threads.run(lambda: door.images.retrieve(asker, named, "metadata"))
    describer = Describer(XmlForm() if offer is XML else JsonForm())
    written = _written(door.images, transfer, describer, door.base(request), named)
    media_type = offer.name
    if offer is XML:
        body = Multipart(XML.name)
        fields = {"Content-Type": f"{XML.name}; charset=utf-8"}
        pieces = body.pieces(Part(fields, (each,)) for each in written)
        media_type = body.media_type
    else:
        pieces = _array(written)
    try:
        return await begin(Feed(pieces, transfer.end), door.threads, media_type)
    except AWAY as error:
        raise not_now() from error


def _written(
    images: Images, transfer: Transfer, describer: Describer, base: str, named: Named
) -> Iterator[bytes]:
    """Write each header; of one that cannot be read there is no more than its class and UID."""
    for ref, instance, opening in each_header(images, transfer):
        try:
            header = opening.header(ref, instance)
            above = f"{base}/studies/{named.study}/series/{ref.series_instance_uid}"
            yield describer.write(header, f"{above}/instances/{ref.sop_instance_uid}/bulkdata")
        except (WalkError, TranscodeError):
            yield describer.minimal(ref.sop_class_uid, ref.sop_instance_uid)


def _array(written: Iterator[bytes]) -> Iterator[Buffer]:
    before = b"["
    for each in written:
        yield before + each
        before = b","
    yield b"]"
