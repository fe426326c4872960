"""What the kernel counts of a process: memory that is its own, and bytes it read."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def pss_bytes(pids: Iterable[int]) -> int:
    """Sum of the proportional set sizes: memory shared by forks counts once."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") * 1024 for pid in pids)


def read_bytes(pids: Iterable[int]) -> int:
    """Sum of what the processes have read by read(2) and its kin, from files wherever they lie."""
    return sum(_field(f"/proc/{pid}/io", "rchar:") for pid in pids)


def written_bytes(pids: Iterable[int]) -> int:
    """Sum of what the processes have had written to storage (proc(5), write_bytes)."""
    return sum(_field(f"/proc/{pid}/io", "write_bytes:") for pid in pids)


def rss_bytes(pid: int) -> int:
    """What a process has in memory now."""
    return _field(f"/proc/{pid}/status", "VmRSS:") * 1024


def peak_rss_bytes(pid: int) -> int:
    """The most it has had in memory since `forget_peak`, or since it began."""
    return _field(f"/proc/{pid}/status", "VmHWM:") * 1024


def forget_peak(pid: int) -> None:
    """Begin to measure the peak anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _field(path: str, name: str) -> int:
    with suppress(OSError):  # the process has ended
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0
