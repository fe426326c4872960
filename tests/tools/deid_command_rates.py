"""How fast `dgis deid` is: `python -m tests.tools.deid_command_rates FOLDER`, on one core and on two.

The series of the corpus are copied into the folder several times, under other UIDs of the same length.
"""

import json
import re
import shutil
import statistics
import sys
import time
from pathlib import Path

from tests.corpus import corpus_files
from tests.tools.deid_command import run

COPIES, ROUNDS = 8, 3
_INSTANCE = re.compile(rb"(\x08\0\x18\0(?:UI..|.\0\0\0))([0-9.]{4})", re.DOTALL)


def copies(folder: Path) -> tuple[int, int]:
    """Write the copies; return files and bytes."""
    files = size = 0
    for number in range(COPIES):
        for path in corpus_files("series"):
            raw = path.read_bytes()
            # The first digits of the instance UID: others, and no others' (they begin with 1).
            raw = _INSTANCE.sub(lambda found, number=number: found[1] + b"2.%d." % (number + 2), raw)
            place = folder / f"{number}" / path.parent.name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(raw)
            files, size = files + 1, size + len(raw)
    return files, size


def main(folder: Path) -> None:
    """Print medians."""
    source = folder / "in"
    files, size = copies(source)
    sys.stdout.write(f"{files} files, {size / 1e6:.0f} MB; medians of {ROUNDS}\n")
    for sealed in (True, False):
        for jobs in (1, 2):
            seconds = [_once(folder, source, jobs, sealed=sealed) for _ in range(ROUNDS)]
            taken = statistics.median(seconds)
            kind = "sealed" if sealed else "not sealed"
            rates = f"{files / taken:.0f} files/s, {size / taken / 1e6:.0f} MB/s"
            sys.stdout.write(f"{kind}, {jobs} jobs: {rates}\n")


def _once(folder: Path, source: Path, jobs: int, *, sealed: bool) -> float:
    for made in ("out", "sealed"):
        shutil.rmtree(folder / made, ignore_errors=True)
    more = ("--sealed", folder / "sealed") if sealed else ()
    began = time.monotonic()
    done = run(
        source, "--out", folder / "out", "--secret-file", folder / "secret", "--init-secret",
        "--json", "--jobs", jobs, *more,
    )  # fmt: skip
    taken = time.monotonic() - began
    assert json.loads(done.stdout)["published"] == json.loads(done.stdout)["files"], done.stderr
    return taken


if __name__ == "__main__":
    main(Path(sys.argv[1]))
