"""A large object in parts, taken up again where an earlier attempt broke off.

Parts are invisible until the last request, which makes the object visible whole: the commit point. A crash
before it leaves an upload with the parts that arrived. The next put of the object goes on with it: a part
that the server states with our size and MD5 is not sent again. Because that is the server's word alone, an
object with such parts is read back by its caller before it counts. Uploads that nobody takes up are aborted
by age (`S3Node.clean_leftovers`).
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from storage_nodes.body import pieces, size_of
from storage_nodes.errors import NodeUnavailable
from storage_nodes.node import Body
from storage_nodes.s3_body import cut
from storage_nodes.s3_errors import UNKNOWN_UPLOAD, code_of, from_client_error
from storage_nodes.s3_upload import PartSizes, Target, as_file, content_md5, md5_of

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_MOST_PARTS: Final = 10_000
"""AWS S3 User Guide, "Amazon S3 multipart upload limits"."""
_NO_UPLOADS: Final = UNKNOWN_UPLOAD | {"NotImplemented"}
"""What servers say that have none, or list none: rclone the former."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """An upload: one of our own, or one that broke off; what the server states of its parts, by number."""

    upload_id: str
    stated: Mapping[int, tuple[str, int]]
    resumed: bool


def send_in_parts(target: Target, body: Body, sizes: PartSizes) -> bool:
    """Send a large object; tell whether an earlier attempt was taken up, and nothing but the server vouches.

    What may pass by itself leaves the upload for the next attempt; any other failure aborts it.

    Raises:
        DigestMismatch: the body is not what was announced; nothing is visible.
        NodeError: the body breaks off.
        botocore.exceptions.ClientError: the server refuses.
    """
    begun = _broken_off(target) or _new(target)
    try:
        sent = _send(target, begun, body, max(sizes.part_bytes, -(-size_of(body) // _MOST_PARTS)))
        target.client.complete_multipart_upload(
            Bucket=target.bucket,
            Key=target.key,
            UploadId=begun.upload_id,
            MultipartUpload={"Parts": sent},
            **target.condition,
        )
    except BaseException as error:
        if not _may_pass(target.node, error):
            abort(target, begun.upload_id)
        raise
    return begun.resumed


def abort(target: Target, upload_id: str) -> None:
    """Let the server forget an upload; one that cannot be aborted now is found by age."""
    with suppress(ClientError, BotoCoreError):
        target.client.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=upload_id)


def _send(target: Target, begun: _Begun, body: Body, part_bytes: int) -> "list[CompletedPartTypeDef]":
    digest = hashlib.sha256()
    sent: list[CompletedPartTypeDef] = []
    for number, part in enumerate(cut(pieces(body), part_bytes), start=1):
        for buffer in part:
            digest.update(buffer)
        sent.append({"PartNumber": number, "ETag": _sent(target, begun, number, part)})
    target.compare(digest.digest())
    return sent


def _sent(target: Target, begun: _Begun, number: int, part: list[memoryview]) -> str:
    """Return the ETag of a part, which is sent unless the server states it as it should be."""
    md5 = md5_of(part)
    etag, size = begun.stated.get(number, ("", -1))
    if etag.strip('"') == md5.hex() and size == sum(view.nbytes for view in part):
        return etag
    done = target.client.upload_part(
        Bucket=target.bucket,
        Key=target.key,
        UploadId=begun.upload_id,
        PartNumber=number,
        Body=as_file(part),
        ContentMD5=content_md5(md5),
    )
    return done["ETag"]


def _new(target: Target) -> _Begun:
    begun = target.client.create_multipart_upload(
        Bucket=target.bucket, Key=target.key, Metadata=target.metadata
    )
    return _Begun(begun["UploadId"], {}, resumed=False)


def _broken_off(target: Target) -> _Begun | None:
    """Return the latest upload to this key that was begun and not completed."""
    try:
        listed = target.client.list_multipart_uploads(Bucket=target.bucket, Prefix=target.key)
        here = [upload for upload in listed.get("Uploads", ()) if upload["Key"] == target.key]
        if not here:
            return None
        latest = max(here, key=lambda upload: upload["Initiated"])["UploadId"]
        return _Begun(latest, _stated(target, latest), resumed=True)
    except ClientError as error:
        if code_of(error) in _NO_UPLOADS:
            return None
        raise


def _stated(target: Target, upload_id: str) -> dict[int, tuple[str, int]]:
    pages = target.client.get_paginator("list_parts").paginate(
        Bucket=target.bucket, Key=target.key, UploadId=upload_id
    )
    return {
        part["PartNumber"]: (part["ETag"], part["Size"]) for page in pages for part in page.get("Parts", ())
    }


def _may_pass(node: str, error: BaseException) -> bool:
    meant = from_client_error(node, error) if isinstance(error, ClientError) else error
    return isinstance(meant, NodeUnavailable | BotoCoreError | OSError)
