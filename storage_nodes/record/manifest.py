import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from storage_nodes.names import InvalidNameError, RecordKey
from storage_nodes.record.errors import DamagedRecordError, RecordRefusedError, UnsupportedRecordError
from storage_nodes.record.limits import MOST_MANIFEST_BYTES

JSON: TypeAlias = "bool | int | float | str | list[JSON] | Mapping[str, JSON] | None"

FORMAT: Final = "dgis-series-record"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a record says of itself (FORMAT.md); `about` is the publisher's and opaque here."""

    key: RecordKey
    instances: int
    payloads: int
    index_bytes: int
    index_sha256: bytes
    headers_bytes: int
    frames_bytes: int
    writer: Mapping[str, str]
    about: Mapping[str, JSON]


def encode_manifest(manifest: Manifest) -> bytes:
    """Spell a manifest: equal values give equal bytes.

    Raises:
        RecordRefusedError: `about` is no JSON or makes the manifest larger than 1 MiB.
    """
    try:
        text = _spell(
            {
                "format": FORMAT,
                "version": VERSION,
                "key": manifest.key,
                "instances": manifest.instances,
                "payloads": manifest.payloads,
                "index": {"bytes": manifest.index_bytes, "sha256": manifest.index_sha256.hex()},
                "headers": {"bytes": manifest.headers_bytes},
                "frames": {"bytes": manifest.frames_bytes},
                "writer": dict(manifest.writer),
                "about": dict(manifest.about),
            }
        )
    except (TypeError, ValueError, RecursionError):
        raise RecordRefusedError("what the record is about must be JSON") from None
    if len(text) > MOST_MANIFEST_BYTES:
        raise RecordRefusedError(f"manifest of {len(text)} bytes; at most {MOST_MANIFEST_BYTES}")
    return text


def decode_manifest(text: bytes) -> Manifest:
    """Read a manifest back.

    Raises:
        UnsupportedRecordError: of a later version.
        DamagedRecordError: not as `encode_manifest` spells it.
    """
    try:
        found = json.loads(text)
        _refuse_later(found)
        manifest = _from_json(found)
        spelled = encode_manifest(manifest)
    except UnsupportedRecordError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, InvalidNameError):
        raise DamagedRecordError("the manifest is not one that a writer made") from None
    if spelled != text:
        raise DamagedRecordError("the manifest is not spelled as a writer does")
    return manifest


def _from_json(found: Any) -> Manifest:  # noqa: ANN401 - whatever a damaged file may hold
    counts = (
        found["instances"],
        found["payloads"],
        found["index"]["bytes"],
        found["headers"]["bytes"],
        found["frames"]["bytes"],
    )
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("counts")
    digest = bytes.fromhex(found["index"]["sha256"])
    writer = found["writer"]
    if len(digest) != 32 or not all(type(value) is str for value in writer.values()):  # noqa: PLR2004 - SHA-256
        raise ValueError("digest")
    return Manifest(
        key=RecordKey(found["key"]),
        instances=counts[0],
        payloads=counts[1],
        index_bytes=counts[2],
        index_sha256=digest,
        headers_bytes=counts[3],
        frames_bytes=counts[4],
        writer=writer,
        about=dict(found["about"]),
    )


def _refuse_later(found: Any) -> None:  # noqa: ANN401 - whatever a damaged file may hold
    version = found["version"]
    if found["format"] == FORMAT and type(version) is int and version > VERSION:
        raise UnsupportedRecordError("record of a later version than this build reads")


def _spell(value: Mapping[str, Any]) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain
    ).encode("ascii")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError("not JSON")
