"""Reading the documents as tests need them: blocks of shell lines, tables by their heading, links."""

import re
from pathlib import Path

from tests.gateway import PROJECT

README = PROJECT / "README.md"
DOCUMENTS = sorted([README, PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")])


def shell_blocks(path: Path) -> list[str]:
    """The fenced blocks marked `sh`, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def python_blocks(path: Path) -> list[str]:
    """The fenced blocks marked `python`, in order."""
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def tables(path: Path) -> dict[str, list[list[str]]]:
    """The first table under each heading: its rows without head, code marks taken off the cells."""
    found: dict[str, list[list[str]]] = {}
    heading, rows = "", []
    for line in [*path.read_text().splitlines(), "#"]:
        if line.startswith("#"):
            if rows:
                found[heading] = rows[2:]
            heading, rows = line.lstrip("# ").replace("`", ""), []
        elif line.startswith("|"):
            rows.append([cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def links(path: Path) -> list[str]:
    """Targets of relative links."""
    targets = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    return [target for target in targets if "://" not in target]
