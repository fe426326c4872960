"""What a running process asks of the kernel, counted by strace."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway import wait_until
from tests.needs import require

_STOP_SECONDS = 30
_NUMBER = 3  # column of the table: calls; the last one is the name


def require_strace() -> None:
    """Skip the test where strace is not installed; in CI its absence is a failure."""
    require("strace", "strace")


@contextmanager
def system_calls(pid: int, folder: Path) -> Iterator[Counter[str]]:
    """Yield a counter that holds the calls of all threads, by name, once the block is left."""
    counts: Counter[str] = Counter()
    table = folder / "strace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(table), "-p", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _traced(pid) or tracer.poll() is not None, _STOP_SECONDS, "strace has attached")
        assert tracer.poll() is None, "strace may not attach here"
        yield counts
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(_STOP_SECONDS)
    for line in table.read_text().splitlines():
        fields = line.split()
        if len(fields) > _NUMBER and fields[_NUMBER].isdigit() and fields[-1] != "total":
            counts[fields[-1]] += int(fields[_NUMBER])


def _traced(pid: int) -> bool:
    """Whether every thread of a process is being traced."""
    status = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(status) and all("TracerPid:\t0\n" not in each for each in status)
