"""The words of backups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

FORMAT: Final = "dgis-backup"
VERSION: Final = 1


class BackupError(Exception):
    """A backup that cannot be made or read; the text says what to do and holds nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: entry to its bytes, SHA-256 and, of a table, rows."""

    made_ms: int
    gateway: str
    facility: str
    revision: str
    holds: str
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: getattr(self, name) for name in self.__slots__},
            "entries": {name: dict(said) for name, said in self.entries.items()},
        }

    @property
    def rows(self) -> dict[str, int]:
        """How many rows there are of each table."""
        prefix = "table/"
        return {
            name.removeprefix(prefix): int(said["rows"])
            for name, said in self.entries.items()
            if name.startswith(prefix)
        }
