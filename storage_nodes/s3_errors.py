from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)

from storage_nodes.errors import (
    DigestMismatch,
    NodeError,
    NodeFull,
    NodeRefused,
    NodeUnavailable,
    ObjectDamaged,
    ObjectMissing,
)

Meaning = tuple[type[NodeError], str]

# Error codes of the S3 API reference ("Error responses"), and those that Ceph and MinIO add. A HEAD has no
# body: there the code is the status.
_CODES: Final[dict[str, Meaning]] = {
    "NoSuchKey": (ObjectMissing, "no such object"),
    "404": (ObjectMissing, "no such object"),
    "InvalidRange": (ObjectDamaged, "the object ends before the range that was asked for"),
    "416": (ObjectDamaged, "the object ends before the range that was asked for"),
    "BadDigest": (DigestMismatch, "what arrived is not what was sent"),
    "InvalidDigest": (DigestMismatch, "what arrived is not what was sent"),
    "InvalidPart": (NodeUnavailable, "another upload of the same name was under way"),
    "SlowDown": (NodeUnavailable, "the server asks for patience"),
    "NoSuchUpload": (NodeUnavailable, "the upload was aborted meanwhile"),
    "IncompleteBody": (NodeUnavailable, "the connection broke while the object was sent"),
    "RequestTimeout": (NodeUnavailable, "the connection broke while the object was sent"),
    "QuotaExceeded": (NodeFull, "the quota is used up"),
    "XMinioStorageFull": (NodeFull, "no space left on the server"),
    "XAmzContentSHA256Mismatch": (DigestMismatch, "what arrived is not what was sent"),
    "EntityTooLarge": (NodeFull, "the server takes no object this large"),
    "NoSuchBucket": (NodeRefused, "there is no such bucket"),
    "AccessDenied": (NodeRefused, "the credentials do not allow it"),
    "403": (NodeRefused, "the credentials do not allow it"),
    "InvalidAccessKeyId": (NodeRefused, "the access key is not known to the server"),
    "SignatureDoesNotMatch": (NodeRefused, "the secret key is not the right one"),
    "RequestTimeTooSkewed": (NodeRefused, "its clock and ours differ too much"),
    "NotImplemented": (NodeRefused, "the server does not know this kind of request"),
    "PermanentRedirect": (NodeRefused, "the bucket is in another region"),
}
_STATUSES: Final[dict[int, Meaning]] = {
    401: (NodeRefused, "the credentials do not allow it"),
    403: (NodeRefused, "the credentials do not allow it"),
    507: (NodeFull, "no space left on the server"),
}
TAKEN: Final = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
"""What a conditional put is told when an object is there, or comes at the same moment."""
UNKNOWN_UPLOAD: Final = {"NoSuchUpload", "NoSuchKey", "404"}
"""What an upload in parts is told when another put of the same bytes completes it, or it was aborted."""
OVERTAKEN: Final = TAKEN | UNKNOWN_UPLOAD | {"InvalidPart"}
"""What a put is told when another one of the same name was quicker."""


@contextmanager
def s3_errors(node: str) -> Iterator[None]:
    """Turn what botocore raises into what it means for a node; the server's own text is left out."""
    try:
        yield
    except ClientError as error:
        raise from_client_error(node, error) from None
    except (BotoCoreError, OSError) as error:
        raise _from_transport(node, error) from None


def code_of(error: ClientError) -> str:
    """Return the error code of an answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def from_client_error(node: str, error: ClientError) -> NodeError:
    """Return what an answer means; one that is not in the tables may pass, so it is NodeUnavailable."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind, words = (
        _CODES.get(code_of(error))
        or _STATUSES.get(status)
        or (
            NodeUnavailable,
            f"the server answers with status {status}",
        )
    )
    return kind(node, words)


def _from_transport(node: str, error: Exception) -> NodeError:
    if isinstance(error, SSLError):
        return NodeRefused(node, "no TLS connection: is its certificate one that we trust?")
    if isinstance(error, ParamValidationError):
        return NodeRefused(node, "bucket or prefix are not valid")
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return NodeUnavailable(node, "the server cannot be reached")
    if isinstance(error, ReadTimeoutError):
        return NodeUnavailable(node, "the server stopped answering")
    return NodeUnavailable(node, "the connection broke")
