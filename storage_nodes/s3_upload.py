"""One object into a bucket: in one request, or in parts where it is large."""

import base64
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from storage_nodes.body import pieces
from storage_nodes.errors import DigestMismatch
from storage_nodes.node import Body, Buffer
from storage_nodes.s3_body import BodyReader

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DIGEST_KEY: Final = "sha256"
"""Of the user metadata (`x-amz-meta-sha256`), lower case hexadecimal."""
_SEND_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PartSizes:
    """When and how an object is sent in parts.

    Attributes:
        above_bytes: larger objects are; it also bounds what a put holds of a body that is made on demand.
        part_bytes: size of a part, at least 5 MiB; grows where 10,000 parts would not do.
    """

    above_bytes: int = 64 << 20
    part_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where an object goes, and as what.

    Attributes:
        condition: further arguments of the request that makes the object visible.
        lock: further arguments of a request that makes an object which is to be locked.
    """

    client: "S3Client"
    node: str
    bucket: str
    key: str
    sha256: bytes
    condition: dict[str, Any]
    lock: dict[str, Any]

    @property
    def metadata(self) -> dict[str, str]:
        """What the object says of itself."""
        return {DIGEST_KEY: self.sha256.hex()}

    def compare(self, digest: bytes) -> None:
        """Hold what was read of the body to what was announced.

        Raises:
            DigestMismatch: it is something else.
        """
        if digest != self.sha256:
            raise DigestMismatch(self.node, "what was to be put has another SHA-256 than was announced")


def send_at_once(target: Target, body: Body) -> None:
    """Send a small object; it becomes visible whole.

    Raises:
        DigestMismatch: the body is not what was announced; nothing was sent.
        botocore.exceptions.ClientError: the server refuses.
    """
    buffers = list(pieces(body))
    digest = hashlib.sha256()
    for buffer in buffers:
        digest.update(buffer)
    target.compare(digest.digest())
    target.client.put_object(
        Bucket=target.bucket,
        Key=target.key,
        Body=as_file(buffers),
        ContentMD5=content_md5(md5_of(buffers)),
        Metadata=target.metadata,
        **target.condition,
        **target.lock,
    )


def as_file(buffers: Iterable[Buffer]) -> io.BufferedReader:
    """Return buffers as what botocore sends."""
    return io.BufferedReader(BodyReader(buffers), _SEND_BYTES)


def md5_of(buffers: Iterable[Buffer]) -> bytes:
    """Return the MD5 that a server compares with what arrived, and states as ETag of a part."""
    digest = hashlib.md5(usedforsecurity=False)
    for buffer in buffers:
        digest.update(buffer)
    return digest.digest()


def content_md5(digest: bytes) -> str:
    """Return the digest as a header (RFC 1864)."""
    return base64.b64encode(digest).decode()
