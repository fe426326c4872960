"""What crashed puts leave hidden in a bucket: uploads in parts, and claims to names."""

from datetime import datetime
from typing import TYPE_CHECKING

from storage_nodes.s3_claim import FOLDER

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def abort_uploads(client: "S3Client", bucket: str, prefix: str, oldest_kept: datetime) -> int:
    """Abort uploads that were begun before `oldest_kept` and never completed; returns how many."""
    removed = 0
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < oldest_kept:
                    client.abort_multipart_upload(
                        Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    removed += 1
    except client.exceptions.NoSuchUpload:
        pass  # aborted by somebody else; rclone says the same of an empty list
    return removed


def remove_claims(client: "S3Client", bucket: str, prefix: str, oldest_kept: datetime) -> int:
    """Remove claims that were made before `oldest_kept`; returns how many."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}{FOLDER}")
    old = [
        entry["Key"]
        for page in pages
        for entry in page.get("Contents", ())
        if entry["LastModified"] < oldest_kept
    ]
    for key in old:
        client.delete_object(Bucket=bucket, Key=key)
    return len(old)
