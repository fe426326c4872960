"""The dcmtk clients as the tests call them."""

import os
import socket
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.gateway import wait_until
from tests.needs import require

_CLIENT_SECONDS = 240
_QUICK = {"TCP_NODELAY": "1"}  # dcmtk reads it; its two writes a PDU wait for each other otherwise
MAX_CONTEXTS = 120  # of 128: storescu counts its own

Address = tuple[str, int]


def require_dcmtk() -> None:
    """Skip the test where dcmtk is not installed; in CI its absence is a failure."""
    require(("storescu", "dcmsend", "findscu", "getscu", "movescu"), "dcmtk")


def run(program: str, *arguments: object, check: bool = True, cwd: Path | None = None):
    """Run one dcmtk program; returns it with its output as text."""
    done = subprocess.run(
        [program, *map(str, arguments)],
        env={**os.environ, **_QUICK},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_CLIENT_SECONDS,
        cwd=cwd,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{program}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done


def echo(address: Address, calling: str, called: str = "DGIS") -> None:
    """Send one C-ECHO; fails when it is not answered with success."""
    run("echoscu", "-aet", calling, "-aec", called, *address)


def storescu(address: Address, files: Sequence[Path], calling: str, folder: Path):
    """Send files, each in its own transfer syntax, by one or more storescu associations after one another.

    Returns:
        what the last storescu printed; files that dcmtk cannot read are skipped by it (`--no-halt`).
    """
    done = None
    for number, batch in enumerate(_by_contexts(files)):
        profile = folder / f"contexts-{number}.cfg"
        profile.write_text(_profile({pair for pair, _ in batch}))
        names = [path for _, paths in batch for path in paths]
        options = ("-aet", calling, "-aec", "DGIS", "-nh", "-xf", profile, "ASSTORED")
        done = run("storescu", *options, *address, *names, check=False)
    return done


def dcmsend(address: Address, files: Sequence[Path], calling: str, *options: str):
    """Send files by dcmsend, which proposes what the files are and never decompresses here."""
    return run(
        "dcmsend",
        "-aet",
        calling,
        "-aec",
        "DGIS",
        "-dn",
        "-nh",
        "-nuc",
        "+f",
        *options,
        *address,
        *files,
        check=False,
    )


def find(
    address: Address, calling: str, keys: Iterable[str], folder: Path, root: str = "-S"
) -> list[Dataset]:
    """Query by findscu; returns the identifiers of the pending responses."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [part for key in keys for part in ("-k", key)]
    run("findscu", "-aet", calling, "-aec", "DGIS", root, "-X", "-od", folder, *address, *options)
    return [dcmread(path) for path in sorted(folder.glob("rsp*.dcm"))]


def get(address: Address, calling: str, keys: Iterable[str], folder: Path, *options: str) -> list[Path]:
    """Retrieve by getscu into a folder, bytes kept as they come; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    given = [part for key in keys for part in ("-k", key)]
    run("getscu", "-aet", calling, "-aec", "DGIS", "-S", "+B", "-od", folder, *options, *address, *given)
    return sorted(path for path in folder.iterdir() if path.is_file())


def move(
    address: Address,
    calling: str,
    destination: str,
    keys: Iterable[str],
    *options: str,
    check: bool = True,
):
    """Ask by movescu for a transfer to an AE title that the gateway knows."""
    given = [part for key in keys for part in ("-k", key)]
    fixed = ("-aet", calling, "-aec", "DGIS", "-S", "-aem", destination)
    return run("movescu", *fixed, *options, *address, *given, check=check)


@contextmanager
def storescp(folder: Path, title: str, port: int):
    """A storescp that writes what it receives bit by bit into `folder` and takes every transfer syntax."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["storescp", "-aet", title, "+xa", "+B", "-pm", "-uf", "-od", str(folder), "--fork", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, **_QUICK}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port), 20, "storescp listens")
        yield folder
    finally:
        process.terminate()
        process.wait(20)


def dataset_bytes(path: Path) -> bytes:
    """What follows the file meta information (PS3.10 7.1); the whole file where there is none."""
    raw = path.read_bytes()
    if raw[128:132] != b"DICM":
        return raw
    length = int.from_bytes(raw[140:144], "little")  # (0002,0000), always first and Explicit VR Little Endian
    return raw[144 + length :]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _by_contexts(files: Sequence[Path]):
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in files:
        meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"], force=True)
        syntax = str(meta.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2"))
        if "SOPClassUID" in meta:  # a context cannot be proposed for nothing
            groups.setdefault((str(meta.SOPClassUID), syntax), []).append(path)
    pairs = list(groups.items())
    return [pairs[at : at + MAX_CONTEXTS] for at in range(0, len(pairs), MAX_CONTEXTS)]


def _profile(pairs: Iterable[tuple[str, str]]) -> str:
    """A dcmtk association configuration: one presentation context a pair, one transfer syntax each."""
    pairs = sorted(pairs)
    syntaxes = sorted({syntax for _, syntax in pairs})
    lines = ["[[TransferSyntaxes]]"]
    for number, syntax in enumerate(syntaxes, 1):
        lines += [f"[SYNTAX{number}]", f"TransferSyntax1 = {syntax}"]
    lines += ["[[PresentationContexts]]", "[PAIRS]"]
    for number, (abstract, syntax) in enumerate(pairs, 1):
        lines.append(f"PresentationContext{number} = {abstract}\\SYNTAX{syntaxes.index(syntax) + 1}")
    return "\n".join([*lines, "[[Profiles]]", "[ASSTORED]", "PresentationContexts = PAIRS", ""])
