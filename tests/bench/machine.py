"""The machine under the measurement: warmed, its disk quiet, and what process trees use of it."""

import mmap
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PAGE = 4096
_TICKS = os.sysconf("SC_CLK_TCK")
MEMORY = Path("/dev/shm")


def warm_memory(gigabytes: float) -> None:
    """Touch memory once: a young virtual machine makes whoever touches it first pay several times."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    length = int(min(gigabytes * 1e9, free * 0.6))
    with mmap.mmap(-1, length) as area:
        for at in range(0, length, _PAGE):
            area[at] = 1


def settle() -> None:
    """Let the disk finish what others left it to write, so that each pays for its own."""
    os.sync()


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system seconds of process trees, what ended children used included."""
    used, children = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(") ")[2].split()
                pid = int(folder.name)
                used[pid] = sum(int(fields[place]) for place in (11, 12, 13, 14)) / _TICKS
                children.setdefault(int(fields[1]), []).append(pid)
    todo, seen = [*roots], set()
    while todo:
        pid = todo.pop()
        if pid not in seen:
            seen.add(pid)
            todo += children.get(pid, [])
    return sum(used.get(pid, 0.0) for pid in seen)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False
