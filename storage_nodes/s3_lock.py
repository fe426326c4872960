"""S3 Object Lock, and deleting for good where a bucket keeps versions.

A bucket with Object Lock keeps every version of an object. A delete without a version would only hide it, so
each version is deleted; the newest last, so that a refusal leaves the object as it was.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from storage_nodes.errors import ObjectLocked
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_errors import code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_UNTOLD: Final = {"NotImplemented", "AccessDenied", "405", "501"}
_REFUSED: Final = {"AccessDenied", "403", "InvalidRequest", "ObjectLocked"}
_CLOCKS_DIFFER: Final = timedelta(minutes=1)  # the server's says whether a lock has ended
_A_MOMENT: Final = timedelta(seconds=1)


def lock_arguments(location: S3Location) -> dict[str, Any]:
    """Return what a PUT says so that the object is locked; nothing where it is not to be."""
    if not location.object_lock_days:
        return {}
    until = datetime.now(UTC) + timedelta(days=location.object_lock_days)
    return {"ObjectLockMode": location.object_lock_mode.upper(), "ObjectLockRetainUntilDate": until}


def lock(client: "S3Client", bucket: str, key: str, arguments: dict[str, Any]) -> None:
    """Lock an object that is there: Ceph 16 takes no lock with an upload in parts."""
    client.put_object_retention(
        Bucket=bucket,
        Key=key,
        Retention={
            "Mode": arguments["ObjectLockMode"],
            "RetainUntilDate": arguments["ObjectLockRetainUntilDate"],
        },
    )


def keeps_versions(client: "S3Client", bucket: str) -> bool:
    """Tell whether a delete would leave the bytes behind."""
    try:
        return client.get_bucket_versioning(Bucket=bucket).get("Status") in {"Enabled", "Suspended"}
    except ClientError as error:
        if code_of(error) in _UNTOLD:
            return False
        raise


def delete_versions(client: "S3Client", node: str, bucket: str, key: str) -> None:
    """Delete an object for good.

    Raises:
        ObjectLocked: a version is kept by a lock; it and newer ones are left.
        botocore.exceptions.ClientError: the server refuses for another reason.
    """
    for version in reversed(list(_versions(client, bucket, key))):
        try:
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        except ClientError as error:
            if code_of(error) in _REFUSED:
                _raise_if_locked(client, node, bucket, key, version)
            raise


def _versions(client: "S3Client", bucket: str, key: str) -> Iterator[str]:
    """Yield the versions of one key, the marks of earlier deletes first: they hide the object."""
    marks: list[str] = []
    versions: list[str] = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        marks += [each["VersionId"] for each in page.get("DeleteMarkers", ()) if each["Key"] == key]
        versions += [each["VersionId"] for each in page.get("Versions", ()) if each["Key"] == key]
    yield from (*marks, *versions)


def _raise_if_locked(client: "S3Client", node: str, bucket: str, key: str, version: str) -> None:
    try:
        retention = client.get_object_retention(Bucket=bucket, Key=key, VersionId=version).get(
            "Retention", {}
        )
    except ClientError:
        retention = {}
    until = retention.get("RetainUntilDate")
    now = datetime.now(UTC)
    if until is not None and until > now - _CLOCKS_DIFFER:
        until = max(until, now + _A_MOMENT)
        words = f"kept by a lock until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        raise ObjectLocked(node, words, int(until.timestamp() * 1000)) from None
    if _is_held(client, bucket, key, version):
        raise ObjectLocked(node, "kept by a legal hold", None) from None


def _is_held(client: "S3Client", bucket: str, key: str, version: str) -> bool:
    try:
        answer = client.get_object_legal_hold(Bucket=bucket, Key=key, VersionId=version)
    except ClientError:
        return False
    return answer.get("LegalHold", {}).get("Status") == "ON"
