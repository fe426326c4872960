"""Which roles run over a home: commands that look at ports, or must be alone, ask."""

import json
from pathlib import Path


def running_roles(home: Path) -> list[str]:
    """Return the roles that have said where they are and still are processes of ours."""
    return [said.stem for said in sorted((home / "run").glob("[a-z]*.json")) if _lives(said)]


def _lives(said: Path) -> bool:
    try:
        pid = json.loads(said.read_text())["pid"]
        return b"dgis" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return False
