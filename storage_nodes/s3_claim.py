"""Who may put a large object, where the server cannot say so by itself.

Servers that refuse a second PUT on condition may not know the condition on the request that completes an
upload in parts (Ceph 16 ignores it and replaces the object). So the right to put under a name is an object
of its own, hidden from listings of the node and put on condition; it holds the digest of the bytes to come.
Puts of equal bytes share it. Whoever has it looks once more whether an object is there, and removes it when
done. A crash leaves it: puts of the same bytes go on, others are refused until it is cleaned away by age.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from storage_nodes.errors import NameTaken, NodeUnavailable
from storage_nodes.s3_errors import TAKEN, code_of
from storage_nodes.s3_upload import Target

FOLDER: Final = ".claims/"
"""Begins with a dot as no ObjectName does."""

_ATTEMPTS: Final = 100
"""Each failed one is a put of the same name that ended meanwhile; more than these is no honest load."""


@contextmanager
def claimed(target: Target, key: str) -> Iterator[None]:
    """Hold the claim to `target` while the block puts.

    Raises:
        NameTaken: other bytes are being put under the name.
        NodeUnavailable: the claim came and went too often.
        botocore.exceptions.ClientError: the server refuses.
    """
    _take(target, key, target.sha256.hex().encode())
    try:
        yield
    finally:
        with suppress(ClientError, BotoCoreError):
            target.client.delete_object(Bucket=target.bucket, Key=key)


def _take(target: Target, key: str, digest: bytes) -> None:
    """Make the claim or share it; its holder may remove it between our two looks, then we try again."""
    for _ in range(_ATTEMPTS):
        try:
            target.client.put_object(Bucket=target.bucket, Key=key, Body=digest, IfNoneMatch="*")
        except ClientError as error:
            if code_of(error) not in TAKEN:
                raise
        else:
            return
        holder = _holder(target, key)
        if holder == digest:
            return
        if holder is not None:
            raise NameTaken(target.node, "other bytes are being put under this name")
    raise NodeUnavailable(target.node, "other puts of this name end all the time; try again")


def _holder(target: Target, key: str) -> bytes | None:
    try:
        return target.client.get_object(Bucket=target.bucket, Key=key)["Body"].read()
    except ClientError as error:
        if code_of(error) == "NoSuchKey":
            return None
        raise
