import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LockMode: TypeAlias = Literal["compliance", "governance"]

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
"""Between two packets, not for the whole answer; that is the business of wrappers/limits.py."""
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket, or a part of one, and how to get there.

    Attributes:
        endpoint: URL of the server.
        prefix: of all keys, without a slash at the end; empty: the whole bucket.
        conditional_put: the server is known to honour `If-None-Match: *` on PUT and on completing an upload.
            Not found out by trying: some servers accept the header, ignore it and overwrite.
        ca_file: certificates to trust instead of the public ones.
        object_lock_days: for how long each object is locked against deletion (S3 Object Lock, which the
            bucket must have been made with); 0: not at all.
        object_lock_mode: `compliance`: nobody can lift it; `governance`: who has the right to bypass it can.
    """

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    prefix: str = ""
    conditional_put: bool = False
    ca_file: Path | None = None
    object_lock_days: int = 0
    object_lock_mode: LockMode = "compliance"


def make_client(location: S3Location) -> "S3Client":
    """Return a client that knows what it is told here and nothing else; nothing is connected yet.

    - Neither environment, nor profile, nor proxy variables have a say: nodes have credentials of their own.
    - Checksums only where a call requires them: the trailer that is sent otherwise is refused by Ceph 16 over
      https. Content-MD5 and SHA-256 are this package's own.
    - Path style: a name per bucket in DNS is what few servers beyond the public cloud have.
    - No retries: wrappers/retry.py decides, in one place.
    """
    session = botocore.session.Session(session_vars=_deaf_variables())
    return session.create_client(  # type: ignore[return-value]  # the stubs know no service by its name
        "s3",
        region_name=location.region,
        endpoint_url=location.endpoint,
        aws_access_key_id=location.access_key,
        aws_secret_access_key=location.secret_key,
        verify=str(location.ca_file) if location.ca_file else True,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=_CONNECTIONS,
            tcp_keepalive=True,
            proxies={},
        ),
    )


def _deaf_variables() -> dict[str, tuple[Any, Any, Any, Any]]:
    """Return botocore's session variables with their defaults, cut off from environment and files."""
    known = botocore.session.Session.SESSION_VARIABLES
    deaf = {name: (None, None, default, parse) for name, (_, _, default, parse) in known.items()}
    for file in ("config_file", "credentials_file"):
        deaf[file] = (None, None, os.devnull, None)
    return deaf
