"""SHA256SUMS: which files of a folder are whole, in the form that `sha256sum -c` reads."""

import hashlib
import re
import threading
from pathlib import Path

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_BLOCK_BYTES = 1 << 20


class Checksums:
    """The checksums of a folder; may be used by several threads. A later line of a file counts.

    A line is written after its file has its name, so that a file with a line was whole then; what became of
    it since, its bytes tell.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            matches = (_LINE.fullmatch(line) for line in lines)
            self._known = {match[2]: match[1] for match in matches if match}

    def add(self, path: Path, digest: str) -> None:
        """Say that a file is whole."""
        name = self._name(path)
        with self._lock:
            if self._known.get(name) != digest:
                self._known[name] = digest
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{digest}  {name}\n")

    def holds(self, path: Path) -> bool:
        """Whether a file is there with the bytes it had when it was whole; reads all of it."""
        known = self._known.get(self._name(path))
        return known is not None and path.is_file() and digest_of(path) == known

    def tidy(self) -> None:
        """Leave one line a file, in order; the old lines go when the new ones are all there."""
        with self._lock:
            aside = self._path.with_name(f".{NAME}.part")
            lines = (f"{digest}  {name}\n" for name, digest in sorted(self._known.items()))
            aside.write_text("".join(lines), encoding="utf-8")
            aside.replace(self._path)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()
