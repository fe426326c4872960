from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

from deid.files.seals import Row
from deid.files.tree import Tree, sop_instance_uid


def uid_of(row: Row) -> str:
    """Return the SOP instance UID of the de-identified file that a seal refers to, "" where it needs none."""
    return PurePosixPath(row.place).stem


class Finder:
    """Finds de-identified files, also where they were moved to other folders or names."""

    def __init__(self, published: Path | None) -> None:
        """Look at nothing yet."""
        self._published = published

    def find(self, row: Row) -> Path | None:
        """Return the file that a seal refers to; None where it is not here."""
        if self._published is None:
            return None
        if not self._published.is_dir():
            return self._published
        place = self._published / row.place
        return place if place.is_file() else self._elsewhere.get(uid_of(row))

    @cached_property
    def _elsewhere(self) -> Mapping[str, Path]:
        """Every file by its SOP instance UID: read once, when something is not at its place."""
        assert self._published is not None, "asked by find"
        tree, found = Tree(self._published), dict[str, Path]()
        for file in tree.walk():
            if file.left_out is None:
                with suppress(OSError):
                    path = tree.place(file.path)
                    found.setdefault(sop_instance_uid(path), path)
        return found
