from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from storage_nodes.body import size_of
from storage_nodes.errors import (
    DigestMismatch,
    NameTaken,
    NodeRefused,
    NodeUnavailable,
    ObjectDamaged,
    ObjectMissing,
)
from storage_nodes.names import InvalidNameError, ObjectName
from storage_nodes.node import Body, Capabilities, ObjectStat, check_range
from storage_nodes.s3_claim import FOLDER, claimed
from storage_nodes.s3_client import S3Location, make_client
from storage_nodes.s3_errors import OVERTAKEN, code_of, s3_errors
from storage_nodes.s3_leftovers import abort_uploads, remove_claims
from storage_nodes.s3_lock import delete_versions, keeps_versions, lock, lock_arguments
from storage_nodes.s3_parts import send_in_parts
from storage_nodes.s3_upload import DIGEST_KEY, PartSizes, Target, send_at_once
from storage_nodes.wrappers.verify import digest_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_SHA256_HEX_DIGITS: Final = 64
_USUAL_SIZES: Final = PartSizes()


class S3Node:
    """A bucket on any server that speaks S3.

    What proves what: Content-MD5 lets the server compare what arrived (real servers do, mocks may not); the
    SHA-256 in the object's metadata is what *we* said when we put it, so `stat` shows which object it is
    meant to be; that the bytes are those, only reading them shows (`Proof.READ_BACK`, and the scrub). An ETag
    is believed of a part that was sent before, and what was made of such parts is read back.

    Put if absent: the object is looked for first; whether two *different* bodies may cross between that look
    and the put depends on the server (`S3Location.conditional_put`). Names hold the hash of the bytes, so
    different bodies under one name are damage, not a race of honest writers. A bucket that keeps versions
    loses neither body; of Ceph's, no such bucket honours the condition.
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
        self._location = location
        self._versioned: bool | None = None  # asked when first needed
        self._bucket = location.bucket
        self._prefix = f"{location.prefix}/" if location.prefix else ""
        self._sizes = sizes

    def close(self) -> None:
        """Close the connections that wait for further use."""
        self._client.close()

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Look, send, and where the server can, on condition that there is still nothing."""
        with s3_errors(self.name):
            if self._is_there(name, body, sha256):
                return
            try:
                self._send(name, body, sha256)
            except ClientError as error:
                if code_of(error) not in OVERTAKEN:
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
        head = self._ask_head(name)
        if head is None:
            with s3_errors(self.name):
                try:
                    self._client.head_bucket(Bucket=self._bucket)
                except ClientError as error:
                    if code_of(error) == "404":
                        raise NodeRefused(self.name, "there is no such bucket") from None
                    raise
            raise ObjectMissing(self.name, "no such object")
        return _stat_of(name, head)

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
            if self._versioned is None:
                self._versioned = keeps_versions(self._client, self._bucket)
            if not self._versioned:
                answer = self._client.delete_object(Bucket=self._bucket, Key=self._key(name))
                self._versioned = answer.get("DeleteMarker", False)  # a bucket that did not tell us
            if self._versioned:
                delete_versions(self._client, self.name, self._bucket, self._key(name))

    def clean_leftovers(self, older_than_seconds: float) -> int:
        """Abort uploads in parts that were begun long ago and never completed; remove their claims."""
        oldest_kept = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with s3_errors(self.name):
            uploads = abort_uploads(self._client, self._bucket, self._prefix, oldest_kept)
            return uploads + remove_claims(self._client, self._bucket, self._prefix, oldest_kept)

    def _send(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Send the object; the requests of a claim stand around an upload in parts."""
        condition = {"IfNoneMatch": "*"} if self.capabilities.conditional_put else {}
        key = self._key(name)
        lock = lock_arguments(self._location)
        target = Target(self._client, self.name, self._bucket, key, sha256, condition, lock)
        if size_of(body) <= self._sizes.above_bytes:
            send_at_once(target, body)
        elif not condition:
            self._send_in_parts(target, name, body)
        else:
            with claimed(target, f"{self._prefix}{FOLDER}{name}"):
                if not self._is_there(name, body, sha256):
                    self._send_in_parts(target, name, body)

    def _send_in_parts(self, target: Target, name: ObjectName, body: Body) -> None:
        if send_in_parts(target, body, self._sizes):
            self._prove(name, target.sha256)
        if target.lock:
            lock(self._client, self._bucket, target.key, target.lock)

    def _prove(self, name: ObjectName, sha256: bytes) -> None:
        """Read back what was made of parts of an earlier attempt; what is wrong goes, and is sent anew."""
        found = self.stat(name)
        if found.sha256 != sha256 or digest_of(self, name, found.size) != sha256:
            self.delete(name)
            raise DigestMismatch(self.name, "parts that were sent before are not what the server says")

    def _is_there(self, name: ObjectName, body: Body, sha256: bytes) -> bool:
        """Tell whether the object is there; by its stated digest, else by its bytes; lock it if it is not."""
        head = self._ask_head(name)
        if head is None:
            return False
        found = _stat_of(name, head)
        same = found.size == size_of(body) and (
            found.sha256 == sha256 or digest_of(self, name, found.size) == sha256
        )
        if not same:
            raise NameTaken(self.name, "other bytes lie under this name")
        locked = "x-amz-object-lock-mode" in head["ResponseMetadata"]["HTTPHeaders"]
        if self._location.object_lock_days and not locked:
            lock(self._client, self._bucket, self._key(name), lock_arguments(self._location))
        return True

    def _ask_head(self, name: ObjectName) -> "HeadObjectOutputTypeDef | None":
        bucket, key = self._bucket, self._key(name)
        try:
            with s3_errors(self.name):
                try:
                    return self._client.head_object(Bucket=bucket, Key=key)
                except ClientError as error:
                    if code_of(error) == "403":  # a HEAD is not told what is wrong: key, secret, or clock
                        self._client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
                    raise
        except ObjectMissing:
            return None

    def _key(self, name: ObjectName) -> str:
        return f"{self._prefix}{name}"


def _stat_of(name: ObjectName, head: "HeadObjectOutputTypeDef") -> ObjectStat:
    metadata = {key.lower(): value for key, value in head["Metadata"].items()}  # some servers write `Sha256`
    digest = _digest(metadata.get(DIGEST_KEY, ""))
    return ObjectStat(name, head["ContentLength"], digest, _milliseconds(head["LastModified"]))


def _digest(text: str) -> bytes | None:
    if len(text) != _SHA256_HEX_DIGITS:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
