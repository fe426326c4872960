"""Reads and writes every file of a folder with pydicom and changes nothing: what parsing alone costs."""

import sys
from pathlib import Path

from pydicom import dcmread

if __name__ == "__main__":
    given, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(given.iterdir()):
        try:
            dcmread(path).save_as(out / path.name)
        except Exception as error:  # noqa: BLE001 - what it cannot write it refuses, and the table counts it
            sys.stderr.write(f"{type(error).__name__}\n")
