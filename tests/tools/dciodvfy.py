"""What dciodvfy (Debian dicom3tools) calls errors in a file, and which of them are new in another."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

# Values differ between an instance and its pseudonym, and so do the places of items that were left out.
_VARYING = re.compile(
    r"ReferencedSOPInstanceUID .*|= <[^>]*>|\[\d+\]|[0-9]+(\.[0-9]+){2,}|(?<=enumerated value )<[^>]*>"
)


def is_there() -> bool:
    """Whether the program is installed."""
    return shutil.which("dciodvfy") is not None


def complaints(path: Path) -> Counter[str]:
    """Count the errors of a file by their words, without what varies from instance to instance."""
    run = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    lines = (run.stdout + run.stderr).decode("latin_1").splitlines()
    return Counter(_VARYING.sub("", line) for line in lines if line.startswith("Error"))


def understands(path: Path) -> bool:
    """Whether the program reads a file to its end and knows what object it is: else it has nothing to say."""
    run = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    said = (run.stdout + run.stderr).decode("latin_1")
    return (
        run.returncode in {0, 1} and "Information Object Not found" not in said and "read failed" not in said
    )


def added(before: Counter[str], after: Counter[str]) -> list[str]:
    """Return the errors that are in the second file only, or more often than in the first."""
    return sorted((after - before).elements())
