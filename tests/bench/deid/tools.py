"""The programs that are compared, and how each is told to de-identify a folder."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-bench" / "bin"
_READ_AND_WRITE = Path(__file__).with_name("read_and_write.py")


@dataclass(frozen=True)
class Tool:
    """One program: its command for a folder to read, one to write, and one to keep keys in."""

    name: str
    version: str
    command: Callable[[Path, Path, Path], Sequence[str | Path]]
    goes_on: bool = False  # over a file that it cannot read


@dataclass(frozen=True)
class Absent:
    """A program that is not here, and the command that brings it."""

    name: str
    remedy: str


def ours() -> Tool:
    """Return `dgis deid`, with a secret of its own and every core, as it comes."""
    return Tool("dgis deid", version("dgis"), _ours, goes_on=True)


def peers() -> list[Tool | Absent]:
    """Return the others, and last a program that reads and writes each file and changes nothing."""
    return [
        _python(
            "dicognito",
            lambda python, given, out: [python, "-m", "dicognito", "-q", "--seed", "bench", "-o", out, given],
        ),
        _python("dicom-anonymizer", lambda _python, given, out: [PEERS / "dicom-anonymizer", given, out]),
        _gdcmanon(),
        _python("pydicom", lambda python, given, out: [python, _READ_AND_WRITE, given, out]),
    ]


def _ours(given: Path, out: Path, keys: Path) -> Sequence[str | Path]:
    secret = keys / "secret"
    fresh = [] if secret.exists() else ["--init-secret"]
    dgis = Path(sys.executable).with_name("dgis")
    return [dgis, "deid", given, "--out", out, "--secret-file", secret, *fresh]


def _python(name: str, command: Callable[[Path, Path, Path], Sequence[str | Path]]) -> Tool | Absent:
    python = PEERS / "python"
    asked = [python, "-c", f"from importlib.metadata import version; print(version({name!r}))"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False) if python.exists() else None
    if found is None or found.returncode:
        return Absent(name, "make bench-deid")
    base = name == "pydicom"
    label = "pydicom read and write" if base else name
    return Tool(label, found.stdout.strip(), lambda given, out, _keys: command(python, given, out), base)


def _gdcmanon() -> Tool | Absent:
    program = shutil.which("gdcmanon")
    if program is None:
        return Absent("gdcmanon", "apt-get install libgdcm-tools (make bench-deid does it as root)")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return Tool("gdcmanon", said[2] if len(said) > 2 else "", _gdcm_command)


def _gdcm_command(given: Path, out: Path, keys: Path) -> Sequence[str | Path]:
    """De-identify with the certificate it wants to encrypt the originals for."""
    certificate = keys / "certificate.pem"
    if not certificate.exists():
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench"]
        target = ["-keyout", keys / "key.pem", "-out", certificate]
        subprocess.run([*made, *target], check=True, capture_output=True)
    return ["gdcmanon", "-e", "-r", "--continue", "-c", certificate, "-i", given, "-o", out]
