import os
import stat
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from storage_nodes.folder_paths import directory
from storage_nodes.names import InvalidNameError, ObjectName
from storage_nodes.node import ObjectStat


def walk(root: Path, prefix: str) -> Generator[ObjectStat, None, None]:
    """Yield the objects under `root` whose names begin with `prefix`, by ascending name.

    Raises:
        OSError: a directory cannot be read; what vanishes meanwhile is no error, except the root.
    """
    with directory(root, []):
        yield from _below(root, "", prefix)


def _below(root: Path, above: str, prefix: str) -> Generator[ObjectStat, None, None]:
    try:
        with directory(root, above.split("/")[:-1]) as here:
            wanted = [entry for entry in os.scandir(here) if _may_hold(f"{above}{entry.name}", prefix)]
            entries = [(entry.name, _status(entry)) for entry in wanted]
    except FileNotFoundError:
        return
    # A directory sorts as its name and a slash: so the whole walk is in the order of the names.
    names = sorted(
        (f"{above}{entry}/" if stat.S_ISDIR(status.st_mode) else f"{above}{entry}", status)
        for entry, status in entries
        if status is not None
    )
    for name, status in names:
        if name.endswith("/"):
            yield from _below(root, name, prefix)
        elif stat.S_ISREG(status.st_mode) and name.startswith(prefix):
            with suppress(InvalidNameError):
                yield ObjectStat(ObjectName(name), status.st_size, None, status.st_mtime_ns // 1_000_000)


def _may_hold(path: str, prefix: str) -> bool:
    return path.startswith(prefix) or prefix.startswith(f"{path}/")


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
