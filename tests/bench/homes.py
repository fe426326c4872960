"""Homes of gateways that are full, kept between runs: filling one takes minutes."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import load
from tests.bench.figures import GATEWAY
from tests.bench.peers import NEVER, Server, server_of
from tests.gateway import PROJECT, Gateway

_KEPT = Path(tempfile.gettempdir()) / "dgis-bench"  # short: a home holds a Unix socket (107 bytes)


def kept(studies: int, images: int, *, published: bool) -> Path:
    """Return a stopped home that is full of these; it is filled the first time, and after a change to it."""
    home = _KEPT / f"{_code()}-{studies}x{images}{'p' if published else ''}"
    if not home.is_dir():
        _KEPT.mkdir(exist_ok=True)
        for old in _KEPT.iterdir():
            if not old.name.startswith(_code()):
                shutil.rmtree(old, ignore_errors=True)
        with Gateway(NEVER, fresh=True) as own:
            own.stop()
            load.fill(own.home, studies, images, published=published)
            making = home.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            shutil.move(own.home, making)
        making.rename(home)
    return home


@contextmanager
def full_gateway(studies: int, name: str = GATEWAY) -> Iterator[tuple[Server, Gateway]]:
    """Run a gateway over a copy of a home with published studies of one image."""
    home = kept(studies, 1, published=True)
    own = Gateway(NEVER, fresh=True)
    try:
        own.home.rmdir()
        subprocess.run(["cp", "-a", "--sparse=always", str(home), str(own.home)], check=True)
        own.start()
        yield server_of(own, name), own
    finally:
        own.discard()


def _code() -> str:
    """Return what a kept home depends on, as a short digest: how it is filled, and the schema."""
    versions = sorted(path.name for path in (PROJECT / "dgis/migrations/versions").glob("rev_*.py"))
    told = Path(load.__file__).read_bytes() + "".join(versions).encode()
    return hashlib.sha256(told).hexdigest()[:8]
