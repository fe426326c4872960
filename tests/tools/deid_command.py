"""Running `dgis deid` as its own process, and the processes it starts."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

MARK = "DGIS_TEST_DEID_RUN"


def start(*arguments: object, mark: str = "") -> subprocess.Popen[str]:
    """Start the command in a process group of its own; its further processes carry the mark."""
    return subprocess.Popen(
        [sys.executable, "-m", "dgis", "deid", *map(str, arguments)],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start(*arguments)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def living(mark: str) -> list[int]:
    """Every living process that carries the mark, however far down and whoever adopted it."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # it has ended, or is somebody else's
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def workers(mark: str) -> list[int]:
    """Those of them that de-identify."""
    found = []
    for pid in living(mark):
        with suppress(OSError):
            if b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
