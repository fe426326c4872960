"""From the configured S3 nodes to the buckets they are."""

from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from dgis.configuration import S3Node as S3Entry
from dgis.settings import ConfigurationError
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location


def node_pair(entry: S3Entry) -> tuple[S3Node, S3Node]:
    """Return the nodes of records and of sealed companions.

    Raises:
        ConfigurationError: no secret key is configured.
    """
    records, companions = s3_locations(entry)
    return S3Node(entry.name, entry.site, records), S3Node(entry.name, entry.site, companions)


def s3_locations(entry: S3Entry) -> tuple[S3Location, S3Location]:
    """Return where records and where sealed companions lie, each with its credentials.

    Raises:
        ConfigurationError: no secret key is configured.
    """
    secret = _secret(entry.secret_key, entry.secret_key_file)
    sealed = _secret(entry.sealed_secret_key, entry.sealed_secret_key_file) or secret
    if secret is None or sealed is None:
        raise ConfigurationError(f"nodes.{entry.name}: secret_key or secret_key_file is missing")
    records = S3Location(
        endpoint=entry.endpoint,
        bucket=entry.bucket,
        access_key=entry.access_key,
        secret_key=secret,
        region=entry.region,
        prefix=entry.prefix,
        conditional_put=entry.conditional_put,
        ca_file=entry.ca_file,
        object_lock_days=entry.object_lock_days,
        object_lock_mode=entry.object_lock_mode,
    )
    access_key = entry.sealed_access_key or entry.access_key
    return records, replace(records, bucket=entry.sealed_bucket, access_key=access_key, secret_key=sealed)


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value()
    return file.read_text("utf-8").strip() if file is not None else None
