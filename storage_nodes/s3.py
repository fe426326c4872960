from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from storage_nodes.body import size_of
from storage_nodes.errors import NameTaken, NodeRefused, NodeUnavailable, ObjectDamaged, ObjectMissing
from storage_nodes.names import InvalidNameError, ObjectName
from storage_nodes.node import Body, Capabilities, ObjectStat, check_range
from storage_nodes.s3_client import S3Location, make_client
from storage_nodes.s3_errors import TAKEN, code_of, s3_errors
from storage_nodes.s3_upload import DIGEST_KEY, PartSizes, Upload
from storage_nodes.wrappers.verify import digest_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SHA256_HEX_DIGITS: Final = 64
_USUAL_SIZES: Final = PartSizes()


class S3Node:
    """A bucket on any server that speaks S3.

    What proves what: Content-MD5 lets the server compare what arrived (real servers do, mocks may not); the
    SHA-256 in the object's metadata is what *we* said when we put it, so `stat` shows which object it is
    meant to be; that the bytes are those, only reading them shows (`Proof.READ_BACK`, and the scrub).

    Put if absent: the object is looked for first; whether two *different* bodies may cross between that look
    and the put depends on the server (`S3Location.conditional_put`). Names hold the hash of the bytes, so
    different bodies under one name are damage, not a race of honest writers.
    """

    kind: Final = "s3"

    def __init__(
        self,
        name: str,
        site: str,
        location: S3Location,
        sizes: PartSizes = _USUAL_SIZES,
    ) -> None:
        self.name: Final = name
        self.site: Final = site
        self.capabilities: Final = Capabilities(conditional_put=location.conditional_put)
        self._client: S3Client = make_client(location)
        self._bucket = location.bucket
        self._prefix = f"{location.prefix}/" if location.prefix else ""
        self._sizes = sizes

    def close(self) -> None:
        """Close the connections that wait for further use."""
        self._client.close()

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Look, send, and where the server can, on condition that there is still nothing."""
        if self._is_there(name, body, sha256):
            return
        condition = {"IfNoneMatch": "*"} if self.capabilities.conditional_put else {}
        upload = Upload(self._client, self.name, self._bucket, self._key(name), sha256, condition)
        with s3_errors(self.name):
            try:
                upload.run(body, self._sizes)
            except ClientError as error:
                if not condition or code_of(error) not in TAKEN:
                    raise
                if not self._is_there(name, body, sha256):
                    raise NodeUnavailable(self.name, "another put was under way at the same moment") from None

    def get(self, name: ObjectName) -> bytes:
        """Fetch the object in one request."""
        with s3_errors(self.name):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
            with closing(answer["Body"]) as stream:
                return stream.read()

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Fetch a part of the object in one request."""
        check_range(start, length)
        wanted = f"bytes={start}-{start + length - 1}"
        with s3_errors(self.name):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name), Range=wanted)
            with closing(answer["Body"]) as stream:
                if "ContentRange" not in answer:  # not the status: rclone sends the range under a 200
                    raise NodeRefused(self.name, "the server does not know byte ranges")
                if answer["ContentLength"] != length:
                    missing = length - answer["ContentLength"]
                    raise ObjectDamaged(self.name, f"the object ends {missing} bytes too early")
                return stream.read()

    def stat(self, name: ObjectName) -> ObjectStat:
        """Ask for the object's head; where there is none, make sure that there is a bucket."""
        found = self._head(name)
        if found is None:
            with s3_errors(self.name):
                try:
                    self._client.head_bucket(Bucket=self._bucket)
                except ClientError as error:
                    if code_of(error) == "404":
                        raise NodeRefused(self.name, "there is no such bucket") from None
                    raise
            raise ObjectMissing(self.name, "no such object")
        return found

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Page through the bucket; the server sorts by the bytes of the key. Listings hold no digests."""
        with s3_errors(self.name):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}"
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    with suppress(InvalidNameError):
                        name = ObjectName(entry["Key"].removeprefix(self._prefix))
                        yield ObjectStat(name, entry["Size"], None, _milliseconds(entry["LastModified"]))

    def delete(self, name: ObjectName) -> None:
        """Delete one object: deleting many in one request wants a Content-MD5 that botocore does not send."""
        with suppress(ObjectMissing), s3_errors(self.name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def clean_leftovers(self, older_than_seconds: float) -> int:
        """Abort uploads in parts that were begun long ago and never completed."""
        oldest_kept = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        removed = 0
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        with s3_errors(self.name):
            try:
                for page in pages:
                    for upload in page.get("Uploads", ()):
                        if upload["Initiated"] < oldest_kept:
                            self._client.abort_multipart_upload(
                                Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                            )
                            removed += 1
            except self._client.exceptions.NoSuchUpload:
                pass  # aborted by somebody else; rclone says the same of an empty list
        return removed

    def _is_there(self, name: ObjectName, body: Body, sha256: bytes) -> bool:
        """Tell whether the object is there; by its stated digest, else by its bytes."""
        found = self._head(name)
        if found is None:
            return False
        same = found.size == size_of(body) and (
            found.sha256 == sha256 or digest_of(self, name, found.size) == sha256
        )
        if not same:
            raise NameTaken(self.name, "other bytes lie under this name")
        return True

    def _head(self, name: ObjectName) -> ObjectStat | None:
        try:
            with s3_errors(self.name):
                head: Any = self._client.head_object(Bucket=self._bucket, Key=self._key(name))
        except ObjectMissing:
            return None
        metadata = {
            key.lower(): value for key, value in head["Metadata"].items()
        }  # some servers write `Sha256`
        return ObjectStat(
            name,
            head["ContentLength"],
            _digest(metadata.get(DIGEST_KEY, "")),
            _milliseconds(head["LastModified"]),
        )

    def _key(self, name: ObjectName) -> str:
        return f"{self._prefix}{name}"


def _digest(text: str) -> bytes | None:
    if len(text) != _SHA256_HEX_DIGITS:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
