"""Entries in the stream of a backup: each with its digest behind it, the manifest last (FORMAT.md)."""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import zstandard

from dgis.backup.box import BoxWriter
from dgis.backup.values import FORMAT, VERSION, BackupError, Manifest

_FRAME: Final = struct.Struct(">cI")
_BEGIN, _DATA, _END, _MANIFEST = b"E", b"D", b"Z", b"M"
_LEVEL: Final = 6
_MOST_FRAME_BYTES: Final = 64 << 20


class EntryWriter:
    """Writes entries; `finish` writes the manifest of all of them."""

    def __init__(self, box: BoxWriter) -> None:
        self._box = box
        self._zstd = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._entries: dict[str, Mapping[str, Any]] = {}

    def add(self, name: str, pieces: Iterable[bytes], **said: Any) -> None:  # noqa: ANN401 - JSON values
        """Write an entry; what its pieces count on the way may be in `said` as a function."""
        digest, length = hashlib.sha256(), 0
        self._frame(_BEGIN, name.encode())
        for piece in pieces:
            digest.update(piece)
            length += len(piece)
            self._frame(_DATA, piece)
        told = {key: value() if callable(value) else value for key, value in said.items()}
        self._entries[name] = {"bytes": length, "sha256": digest.hexdigest(), **told}
        self._frame(_END, json.dumps(self._entries[name]).encode())

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest with what was written, and end the stream."""
        whole = Manifest(
            manifest.made_ms,
            manifest.gateway,
            manifest.facility,
            manifest.revision,
            manifest.holds,
            self._entries,
        )
        self._frame(_MANIFEST, json.dumps(whole.as_json()).encode())
        self._box.write(self._zstd.flush())
        self._box.close()
        return whole

    def _frame(self, kind: bytes, content: bytes) -> None:
        self._box.write(self._zstd.compress(_FRAME.pack(kind, len(content)) + content))


class EntryReader:
    """Reads entries in order: `for name, pieces in reader`; then `manifest` is there, and was compared.

    Pieces must be gone through before the next entry; its digest is compared when they are.

    Raises:
        BackupError: what is read is not what was written.
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._frames = _frames(stream)
        self._entries: dict[str, Mapping[str, Any]] = {}
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        """What the file holds; only after all of it was read."""
        if self._manifest is None:
            raise BackupError("the backup has no manifest")
        return self._manifest

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        for kind, content in self._frames:
            if kind == _BEGIN:
                name = content.decode()
                pieces = self._pieces(name)
                yield name, pieces
                for _rest in pieces:  # whoever left off: the digest is compared all the same
                    pass
            elif kind == _MANIFEST:
                self._manifest = _compared(content, self._entries)
            else:
                raise BackupError("the backup is not in order")

    def _pieces(self, name: str) -> Iterator[bytes]:
        digest, length = hashlib.sha256(), 0
        for kind, content in self._frames:
            if kind == _DATA:
                digest.update(content)
                length += len(content)
                yield content
                continue
            if kind != _END:
                break
            said = json.loads(content)
            if (said["bytes"], said["sha256"]) != (length, digest.hexdigest()):
                raise BackupError("an entry of the backup is not what was written")
            self._entries[name] = said
            return
        raise BackupError("the backup is not in order")


def _compared(content: bytes, entries: Mapping[str, Mapping[str, Any]]) -> Manifest:
    said = json.loads(content)
    if said.get("format") != FORMAT or said.get("version") != VERSION or said.get("entries") != entries:
        raise BackupError("the manifest of the backup does not fit what is in it")
    return Manifest(**{name: said[name] for name in Manifest.__slots__})


def _frames(stream: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    inflate = zstandard.ZstdDecompressor().decompressobj()
    held = bytearray()
    try:
        for chunk in stream:
            held += inflate.decompress(chunk)
            while len(held) >= _FRAME.size:
                kind, length = _FRAME.unpack_from(held)
                if length > _MOST_FRAME_BYTES:
                    raise BackupError("the backup is not in order")
                if len(held) < _FRAME.size + length:
                    break
                yield kind, bytes(held[_FRAME.size : _FRAME.size + length])
                del held[: _FRAME.size + length]
    except zstandard.ZstdError:
        raise BackupError("the backup does not inflate") from None
    if held:
        raise BackupError("the backup is cut short")
