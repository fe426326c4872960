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


@contextmanager
def claimed(target: Target, key: str) -> Iterator[None]:
    """Hold the claim to `target` while the block puts.

    Raises:
        NameTaken: other bytes are being put under the name.
        botocore.exceptions.ClientError: the server refuses.
    """
    digest = target.sha256.hex().encode()
    try:
        target.client.put_object(Bucket=target.bucket, Key=key, Body=digest, IfNoneMatch="*")
    except ClientError as error:
        if code_of(error) not in TAKEN:
            raise
        if _holder(target, key) != digest:
            raise NameTaken(target.node, "other bytes are being put under this name") from None
    try:
        yield
    finally:
        with suppress(ClientError, BotoCoreError):
            target.client.delete_object(Bucket=target.bucket, Key=key)


def _holder(target: Target, key: str) -> bytes:
    try:
        return target.client.get_object(Bucket=target.bucket, Key=key)["Body"].read()
    except ClientError as error:
        if code_of(error) == "NoSuchKey":
            raise NodeUnavailable(target.node, "another put ended at the same moment") from None
        raise
