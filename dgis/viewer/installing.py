"""Installs a viewer beside the one that is served, then puts it in its place.

Commit point: `installed.json` is renamed into place, when every file of the new folder is on disk. A crash
before leaves the viewer that was there (or none) and a folder that nothing names; a crash after leaves the
new one and the old one's folder. The next installation or removal takes away what is not named.
"""

import fcntl
import gzip
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dgis.viewer import fetching, installed
from dgis.viewer.installed import Installed, Kept
from dgis.viewer.package import OHIF, Package, ViewerError
from dgis.viewer.rewriting import entry_of, rewritten
from dgis.viewer.trimming import LICENCE, PAGE, served_name
from dgis.viewer.unpacking import checked, members

PATH = "/viewer/"
"""Where the web door serves it."""

_ZIPPED = (".css", ".js", ".svg", ".wasm")
_LEVEL = 6
_LOCK = "lock"
_ASIDE = f"{installed.FILE}.new"

Told = Callable[[str], None]


def install(
    home: Path, file: Path | None = None, told: Told = lambda _words: None, package: Package = OHIF
) -> Installed:
    """Install the viewer, from its package's file or, without one, from where npm gets it.

    Raises:
        ViewerError: it cannot be had, is not the package, or cannot be written; what was installed stays.
    """
    with _alone(home) as folder:
        told("fetching")
        data = _package(folder, file, package)
        told("unpacking")
        name = f"{package.version}-{secrets.token_hex(4)}"
        try:
            (folder / name).mkdir()
            made = _unpacked(data, folder / name, package)
            _commit(folder, made)
        finally:
            _sweep(folder, home)
        return made


def remove(home: Path) -> Installed | None:
    """Take the viewer away; return what was installed.

    Raises:
        ViewerError: it cannot be taken away.
    """
    if not installed.folder_of(home).is_dir():
        return None
    with _alone(home) as folder:
        before = _readable(home)
        (folder / installed.FILE).unlink(missing_ok=True)
        _sync(folder)
        _sweep(folder, home)
        return before


def damaged(home: Path, found: Installed) -> list[str]:
    """Return the names of files that are not as they were installed."""
    folder = installed.folder_of(home) / found.folder
    return [name for name, kept in found.files.items() if not _is_whole(folder, name, kept)]


def _is_whole(folder: Path, name: str, kept: Kept) -> bool:
    try:
        whole = hashlib.sha256((folder / name).read_bytes()).hexdigest() == kept.sha256
        zipped = gzip.decompress((folder / f"{name}.gz").read_bytes()) if kept.zipped else b""
    except (OSError, EOFError, ValueError):
        return False
    return whole and (not kept.zipped or hashlib.sha256(zipped).hexdigest() == kept.sha256)


@contextmanager
def _alone(home: Path) -> Iterator[Path]:
    folder = installed.folder_of(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ViewerError("another dgis viewer is at work in this home: wait for it") from None
            yield folder
    except OSError as error:
        raise ViewerError(f"cannot write below {folder}: {error.strerror}") from None


def _package(folder: Path, file: Path | None, package: Package) -> bytes:
    if file is not None:
        return checked(file, package)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetched-") as fetched:
        return checked(fetching.fetched(package, Path(fetched)), package)


def _unpacked(data: bytes, folder: Path, package: Package) -> Installed:
    files: dict[str, Kept] = {}
    page = ""
    for name, content in members(data):
        if name == PAGE:
            page = content.decode("utf-8", "replace")
        served = served_name(name)
        if served is not None:
            files[served] = _written(folder, served, content)
    script, style = entry_of(page)
    if not {LICENCE, script, style} <= files.keys():
        raise ViewerError("the package lacks a script, a style or a licence: it is not built as expected")
    entries = {name for name, kept in files.items() if kept.entry}
    if script not in entries or entries == {script}:  # without workers nothing is decoded
        raise ViewerError("the package says in no known way where its files lie: it is not built as expected")
    for each in {folder, *(path for path in folder.rglob("*") if path.is_dir())}:
        _sync(each)
    return Installed(
        package=package.name,
        version=package.version,
        folder=folder.name,
        script=script,
        style=style,
        files=files,
    )


def _written(folder: Path, name: str, content: bytes) -> Kept:
    made = rewritten(name, content, f"{PATH}{folder.name}/")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, made.data)
    zipped = name.endswith(_ZIPPED)
    if zipped:
        _write(path.with_name(f"{path.name}.gz"), gzip.compress(made.data, _LEVEL, mtime=0))
    digest = hashlib.sha256(made.data).hexdigest()
    return Kept(size=len(made.data), sha256=digest, zipped=zipped, entry=made.is_entry)


def _commit(folder: Path, made: Installed) -> None:
    aside = folder / _ASIDE
    _write(aside, made.model_dump_json().encode())
    _sync(folder)  # the new folder's own name
    aside.replace(folder / installed.FILE)
    _sync(folder)


def _sweep(folder: Path, home: Path) -> None:
    """Take away what is not named as installed."""
    named = _readable(home)
    for each in folder.iterdir():
        if each.is_dir() and (named is None or each.name != named.folder):
            shutil.rmtree(each, ignore_errors=True)
        elif each.name == _ASIDE:
            each.unlink(missing_ok=True)


def _readable(home: Path) -> Installed | None:
    """Return what is installed; what is damaged is not served, and goes."""
    try:
        return installed.read(home)
    except ViewerError:
        return None


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
