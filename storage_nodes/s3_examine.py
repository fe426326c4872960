"""Looking at a bucket as an operator would: is it there, ours, on time, and what it is said to be."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from storage_nodes.errors import NodeError
from storage_nodes.s3_client import S3Location, make_client
from storage_nodes.s3_errors import TAKEN, code_of, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FOLDER: Final = ".probe/"
"""Hidden from listings of the node, as it begins with a dot."""
_MOST_SKEW_SECONDS: Final = 60
"""Servers refuse requests that are signed more than 15 minutes off."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was looked at; `advice` says what is wrong and what to do."""

    what: str
    well: bool
    advice: str = ""


def examine(location: S3Location, node: str) -> Iterator[Seen]:
    """Yield what is seen of a bucket; the first that is not well may be the last.

    It writes two small objects under a hidden name and removes them: what a server does with a condition
    cannot be learned in another way.
    """
    with _client(location) as client:
        what = f"bucket {location.bucket} answers and takes the credentials"
        try:
            with s3_errors(node):
                answer = client.list_objects_v2(Bucket=location.bucket, MaxKeys=1)
        except NodeError as error:
            yield Seen(what, well=False, advice=error.trouble)
            return
        yield Seen(what, well=True)
        yield _clock(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
        yield from _writing(client, location, node)
        if location.object_lock_days:
            yield _lock(client, location)


def is_shut(location: S3Location, node: str) -> bool:
    """Tell whether these credentials are refused at this bucket; False also where that cannot be learned."""
    with _client(location) as client:
        try:
            with s3_errors(node):
                client.list_objects_v2(Bucket=location.bucket, MaxKeys=1)
        except NodeError as error:
            return error.trouble == "the credentials do not allow it"
    return False


@contextmanager
def _client(location: S3Location) -> "Iterator[S3Client]":
    client = make_client(location)
    try:
        yield client
    finally:
        client.close()


def _clock(date: str) -> Seen:
    try:
        skew = abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return Seen("the server says what time it is", well=True)
    what = f"its clock and ours differ by {skew:.0f} s"
    return Seen(what, skew <= _MOST_SKEW_SECONDS, "set both by NTP: beyond 15 minutes requests are refused")


def _writing(client: "S3Client", location: S3Location, node: str) -> Iterator[Seen]:
    key = f"{location.prefix}/{_FOLDER}" if location.prefix else _FOLDER
    key += uuid.uuid4().hex
    what = "objects can be written and deleted"
    try:
        with s3_errors(node):
            client.put_object(Bucket=location.bucket, Key=key, Body=b"first")
            if location.conditional_put:
                yield _condition(client, location.bucket, key)
            client.delete_object(Bucket=location.bucket, Key=key)
    except NodeError as error:
        yield Seen(what, well=False, advice=error.trouble)
    else:
        yield Seen(what, well=True)


def _condition(client: "S3Client", bucket: str, key: str) -> Seen:
    what = "a put is refused where an object lies, as conditional_put says"
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"other", IfNoneMatch="*")
    except ClientError as error:
        if code_of(error) in TAKEN:
            return Seen(what, well=True)
        raise
    return Seen(what, well=False, advice="the server ignores the condition here: set conditional_put = false")


def _lock(client: "S3Client", location: S3Location) -> Seen:
    what = f"the bucket locks objects, for {location.object_lock_days} days as object_lock_days says"
    try:
        answer = client.get_object_lock_configuration(Bucket=location.bucket)
    except ClientError:
        return Seen(
            what, well=False, advice="a bucket must be made with Object Lock: it cannot be added here"
        )
    enabled = answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
    return Seen(what, enabled, "the bucket was made without Object Lock")
