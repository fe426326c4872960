"""One object into a bucket: in one request, or in parts where it is large."""

import base64
import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from storage_nodes.body import pieces, size_of
from storage_nodes.errors import DigestMismatch
from storage_nodes.node import Body, Buffer
from storage_nodes.s3_body import BodyReader, cut

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

DIGEST_KEY: Final = "sha256"
"""Of the user metadata (`x-amz-meta-sha256`), lower case hexadecimal."""
_MOST_PARTS: Final = 10_000
"""AWS S3 User Guide, "Amazon S3 multipart upload limits"."""
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
class Upload:
    """Where an object goes, and as what.

    Attributes:
        condition: further arguments of the request that makes the object visible.
    """

    client: "S3Client"
    node: str
    bucket: str
    key: str
    sha256: bytes
    condition: dict[str, Any]

    def run(self, body: Body, sizes: PartSizes) -> None:
        """Send the object; it becomes visible with the last request, whole.

        Raises:
            DigestMismatch: the body is not what was announced; nothing is visible.
            botocore.exceptions.ClientError: the server refuses.
        """
        size = size_of(body)
        if size > sizes.above_bytes:
            self._in_parts(body, max(sizes.part_bytes, -(-size // _MOST_PARTS)))
        else:
            self._at_once(list(pieces(body)))

    def _at_once(self, buffers: list[Buffer]) -> None:
        digest = hashlib.sha256()
        for buffer in buffers:
            digest.update(buffer)
        self._compare(digest.digest())
        self.client.put_object(
            Bucket=self.bucket,
            Key=self.key,
            Body=_file(buffers),
            ContentMD5=_md5(buffers),
            Metadata={DIGEST_KEY: self.sha256.hex()},
            **self.condition,
        )

    def _in_parts(self, body: Body, part_bytes: int) -> None:
        begun = self.client.create_multipart_upload(
            Bucket=self.bucket, Key=self.key, Metadata={DIGEST_KEY: self.sha256.hex()}
        )
        upload_id = begun["UploadId"]
        try:
            digest = hashlib.sha256()
            sent: list[CompletedPartTypeDef] = []
            for number, part in enumerate(cut(pieces(body), part_bytes), start=1):
                for buffer in part:
                    digest.update(buffer)
                done = self.client.upload_part(
                    Bucket=self.bucket,
                    Key=self.key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=_file(part),
                    ContentMD5=_md5(part),
                )
                sent.append({"PartNumber": number, "ETag": done["ETag"]})
            self._compare(digest.digest())
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": sent},
                **self.condition,
            )
        except BaseException:
            # Parts are paid for and invisible; what cannot be aborted now is found by `clean_leftovers`.
            with suppress(ClientError, BotoCoreError):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=upload_id)
            raise

    def _compare(self, digest: bytes) -> None:
        if digest != self.sha256:
            raise DigestMismatch(self.node, "what was to be put has another SHA-256 than was announced")


def _file(buffers: Iterable[Buffer]) -> io.BufferedReader:
    return io.BufferedReader(BodyReader(buffers), _SEND_BYTES)


def _md5(buffers: Iterable[Buffer]) -> str:
    """Return the Content-MD5 (RFC 1864), with which a server compares what arrived."""
    digest = hashlib.md5(usedforsecurity=False)
    for buffer in buffers:
        digest.update(buffer)
    return base64.b64encode(digest.digest()).decode()
