"""`/rendered` and `/thumbnail` of studies, series, instances and frames (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import chain

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dgis.dicomweb.accept import Offer, acceptable
from dgis.dicomweb.door import ROOT, WebDoor
from dgis.dicomweb.feeding import Feed, begin
from dgis.dicomweb.multipart import Multipart, Part
from dgis.dicomweb.named import Named
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.routes import INSTANCE, SERIES, STUDY
from dgis.pictures import parameters
from dgis.pictures.desk import Desk
from dgis.rendering.view import MediaType
from dgis.web.problems import Problem

# The earlier one where a client takes several alike; video is not offered.
_OFFERS = [Offer(each.value, multipart) for multipart in (False, True) for each in MediaType]
_MOST_INSTANCES = 5_000
_FRAMES = INSTANCE + "/frames/{frames}"

Answer = Callable[[WebDoor, Desk, Request], Awaitable[Response]]


async def rendered(door: WebDoor, desk: Desk, request: Request) -> Response:
    """Give the picture of a single frame as it is; several as multipart/related, in series and image order.

    Raises:
        Problem: 400, 401, 403, 404, 406, 413; 503 where the first instance cannot be had now.
    """
    asker = await door.asker(request)
    named, numbers = Named.of_path(request.path_params), _numbers(request)
    offer = acceptable(request, Parameters.of(request)).choose(_OFFERS)
    view = parameters.rendered_view(_said(request), MediaType(offer.name))
    transfer = await door.threads.run(lambda: desk.images.retrieve(asker, named, "rendered"))
    if len(transfer.refs) > _MOST_INSTANCES:
        transfer.end("too_many")
        raise Problem(413, "too_many", f"pictures of at most {_MOST_INSTANCES} instances at once")
    pictures = desk.all(transfer, view) if numbers is None else desk.frames(transfer, numbers, view)

    def first_two() -> list[bytes]:
        # A second one decides the form of the answer; frames that are counted need not be looked at for that.
        most = 2 if numbers is None else min(len(numbers), 2)
        return [each for _place, each in zip(range(most), pictures, strict=False)]

    try:
        first = await door.threads.run(first_two)
    except BaseException as error:
        words = error.reason if isinstance(error, Problem) else type(error).__name__
        door.threads.submit(partial(transfer.end, words))
        raise
    if len(first) == 1 and not offer.multipart:
        transfer.completed = len(transfer.refs)
        transfer.end()
        return Response(first[0], media_type=offer.name)
    body = Multipart(offer.name)
    parts = (Part({"Content-Type": offer.name}, [each]) for each in chain(first, pictures))
    return await begin(Feed(body.pieces(parts), transfer.end), door.threads, body.media_type)


async def thumbnail(door: WebDoor, desk: Desk, request: Request) -> Response:
    """Give one small picture that stands for the whole.

    Raises:
        Problem: 400, 401, 403, 404, 406; 503 where the instance cannot be had now.
    """
    asker = await door.asker(request)
    named, numbers = Named.of_path(request.path_params), _numbers(request)
    offer = acceptable(request, Parameters.of(request)).choose(_OFFERS)
    view = parameters.thumbnail_view(_said(request), MediaType(offer.name))

    def make() -> bytes:
        transfer = desk.images.retrieve(asker, named, "thumbnail")
        words = "failed"
        try:
            if numbers is None:
                made = desk.one(transfer, view)
            else:
                made = desk.picture(transfer.instances[0], numbers[0], view).data
            words = ""
            transfer.completed = len(transfer.refs)
        except Problem as problem:
            words = problem.reason
            raise
        finally:
            transfer.end(words)
        return made

    picture = await door.threads.run(make)
    if not offer.multipart:
        return Response(picture, media_type=offer.name)
    body = Multipart(offer.name)
    feed = Feed(body.pieces([Part({"Content-Type": offer.name}, [picture])]))
    return await begin(feed, door.threads, body.media_type)


_RESOURCES: dict[str, Answer] = {"rendered": rendered, "thumbnail": thumbnail}


def routes(door: WebDoor, desk: Desk) -> APIRouter:
    """Return the routes; they are not among those that OpenAPI describes: the standard does."""
    router = APIRouter()
    for place in (STUDY, SERIES, INSTANCE, _FRAMES):
        for name, answer in _RESOURCES.items():
            answered = partial(_answered, answer, door, desk)
            router.add_route(f"{ROOT}{place}/{name}", answered, ["GET"], include_in_schema=False)
    return router


async def _answered(answer: Answer, door: WebDoor, desk: Desk, request: Request) -> Response:
    return await answer(door, desk, request)


def _said(request: Request) -> dict[str, str]:
    """Return the parameters that shape a picture; `accept` may come several times."""
    pairs = [pair for pair in Parameters.of(request) if pair[0] != "accept"]
    return parameters.once(pairs)


def _numbers(request: Request) -> list[int] | None:
    text = request.path_params.get("frames")
    return None if text is None else parameters.frame_numbers(text)
