"""WADO-RS: the instances of a study or series, or one, as they lie or converted (PS3.18 10.4)."""

from collections import Counter
from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response

from deid.elements import WalkError
from dgis.dicomweb.accept import ANY, Acceptable, MediaRange, acceptable, not_acceptable
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Feed, begin
from dgis.dicomweb.images import AWAY, Images, Transfer, not_now
from dgis.dicomweb.multipart import Buffer, Multipart, Part
from dgis.dicomweb.named import Named
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.syntaxes import DICOM, chosen
from dgis.dicomweb.zipped import ZIP, Member, zipped
from dgis.retriever.outgoing import Sendable
from dgis.transcode.errors import TranscodeError
from dgis.web.problems import Problem
from storage_nodes.record.part10 import file_head

_SAVED = {"Content-Disposition": 'attachment; filename="images.zip"'}  # the same for everybody: no UID


async def instances(door: WebDoor, request: Request) -> Response:
    """Give what a study, series or instance resource names: a part an instance, or a member of a ZIP file.

    Raises:
        Problem: 400, 401, 403, 404, 406; 503 where its first instance cannot be had now.
    """
    asker = await door.asker(request)
    named = Named.of_path(request.path_params)
    takes = acceptable(request, Parameters.of(request))
    packed = _is_zip(takes)
    transfer = await door.threads.run(lambda: door.images.retrieve(asker, named, "instances"))
    single = not packed and named.instance is not None and _is_single(takes)
    name, multipart = (ZIP, False) if packed else (DICOM, not single)
    syntaxes = [
        chosen(each.transfer_syntax, takes, multipart=multipart, name=name) for each in transfer.instances
    ]
    kept = [syntax for syntax in syntaxes if syntax is not None]
    if len(kept) != len(syntaxes):
        transfer.end("not_acceptable")
        words = "some of it cannot be had in a transfer syntax that is asked for"
        raise Problem(406, "not_acceptable", words, recorded=True)
    if single:
        pieces = _file(door.images, transfer.instances[0], kept[0])
        return await _begun(door, transfer, _counted(transfer, pieces), f"{DICOM}; transfer-syntax={kept[0]}")
    if packed:
        archive = zipped(_members(door.images, transfer, kept))
        return await _begun(door, transfer, archive, ZIP, _SAVED)
    body = Multipart(DICOM)
    parts = body.pieces(_parts(door.images, transfer, kept))
    return await _begun(door, transfer, parts, body.media_type)


def _is_zip(takes: Acceptable) -> bool:
    """Whether the best range that can be answered names ZIP; one that leaves it open is given DICOM.

    Raises:
        Problem: 406 where none can be.
    """
    first = next((each for each in takes.ranges if each.takes(DICOM) or _names_zip(each)), None)
    if first is None:
        raise not_acceptable()
    return _names_zip(first)


def _names_zip(asked: MediaRange) -> bool:
    return asked.name == ZIP and not asked.multipart


def _is_single(takes: Acceptable) -> bool:
    """Whether the best range that takes DICOM at all asks for the object itself (PS3.18 10.4.4)."""
    first = next(each for each in takes.ranges if each.takes(DICOM))
    return first.name != ANY and not first.multipart


async def _begun(
    door: WebDoor,
    transfer: Transfer,
    pieces: Iterator[Buffer],
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    try:
        return await begin(Feed(pieces, transfer.end), door.threads, media_type, headers)
    except AWAY as error:
        raise not_now() from error
    except (TranscodeError, WalkError) as error:
        words = "it cannot be had in a transfer syntax that is asked for: ask for it as it lies"
        raise Problem(406, "not_convertible", words, recorded=True) from error


def _parts(images: Images, transfer: Transfer, syntaxes: list[str]) -> Iterator[Part]:
    for (_ref, instance), syntax in zip(transfer.each(), syntaxes, strict=True):
        headers = {"Content-Type": f"{DICOM}; transfer-syntax={syntax}"}
        yield Part(headers, _file(images, instance, syntax))


def _members(images: Images, transfer: Transfer, syntaxes: list[str]) -> Iterator[Member]:
    """Yield the instances as files, a folder a series: all names are numbers, in the order of the answer."""
    folders: dict[tuple[str, str], int] = {}
    numbers: Counter[int] = Counter()
    for (ref, instance), syntax in zip(transfer.each(), syntaxes, strict=True):
        folder = folders.setdefault((ref.study_key, ref.series_key), len(folders) + 1)
        numbers[folder] += 1
        length = instance.length if syntax == instance.transfer_syntax else None
        yield Member(f"{folder:03}/{numbers[folder]:06}.dcm", length, _file(images, instance, syntax))


def _counted(transfer: Transfer, pieces: Iterator[Buffer]) -> Iterator[Buffer]:
    for _pair in transfer.each():
        yield from pieces


def _file(images: Images, instance: Sendable, syntax: str) -> Iterator[Buffer]:
    """Yield an instance as a file (PS3.10 7.1): a file meta of ours, then the data set."""
    as_stored = syntax == instance.transfer_syntax
    pieces = iter(instance.open() if as_stored else images.transcoder.convert(instance, syntax))
    first = next(pieces, b"")
    yield file_head(instance.sop_class_uid, instance.sop_instance_uid, syntax)
    yield first
    yield from pieces
