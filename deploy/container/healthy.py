"""Whether the gateway of a home answers: for a container's health check. Exit code 0: it does.

Where a web door runs it is asked; a container of the role `dicom` or `worker` alone is well while it writes
its figures.
"""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

_SECONDS = 4
_FRESH_SECONDS = 15


def main(home: Path) -> int:
    """Look, and return the exit code."""
    said = home / "run" / "web.json"
    try:
        if said.exists():
            return _answers(str(json.loads(said.read_text())["web"]))
        return _writes(home / "run" / "figures")
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"not well: {type(error).__name__}\n")
        return 1


def _answers(url: str) -> int:
    context = (
        ssl.create_default_context()
    )  # our own door, asked for by its address: its name is not in question
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    with urllib.request.urlopen(f"{url}/healthz", timeout=_SECONDS, context=context) as answer:  # noqa: S310 (our own address)
        return 0 if answer.status == 200 else 1  # noqa: PLR2004 (HTTP)


def _writes(figures: Path) -> int:
    newest = max((path.stat().st_mtime for path in figures.glob("*.prom")), default=0.0)
    return 0 if time.time() - newest < _FRESH_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
