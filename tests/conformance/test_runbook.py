"""The run book: each command in it exists with its options, each trouble of `dgis status` has an entry."""

import re
import shlex

import pytest
from typer.main import get_command

from dgis.cli.main import app
from tests.gateway import PROJECT

RUNBOOK = PROJECT / "docs" / "runbook.md"
TEXT = RUNBOOK.read_text()
INLINE = re.findall(r"`(dgis [^`]+)`", TEXT)
IN_BLOCKS = [
    line.split("#")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("dgis ")
]
COMMANDS = sorted(set(INLINE + IN_BLOCKS))
STATUS_SOURCES = ("dgis/nodes.py", "dgis/cli/status.py", "replica/status.py")


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_exists_with_its_options(line):
    group = command = get_command(app)
    context = group.make_context("dgis", ["doctor"])
    words = shlex.split(line)[1:]
    while words and hasattr(command, "get_command"):
        command = command.get_command(context, words.pop(0))
        assert command is not None, line
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def test_there_are_commands_to_check():
    assert {"dgis doctor", "dgis repair", "dgis keys rotate --prepare"} <= set(COMMANDS)


def test_every_trouble_that_status_prints_has_its_row():
    printed = [
        re.sub(r"\{[^}]*\}", "...", words)
        for source in STATUS_SOURCES
        for words in re.findall(r'f?"(trouble[: ][^"]*)"', (PROJECT / source).read_text())
    ]
    assert len(printed) >= 5
    (table,) = re.findall(r"^## What `dgis status` prints\n(.*?)^## ", TEXT, re.MULTILINE | re.DOTALL)
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    for line in printed:
        parts = [part.strip() for part in line.split("...") if part.strip(" :()")]
        assert [row for row in rows if all(part in row for part in parts)], line


def test_every_jump_leads_to_a_heading():
    headings = {slug(heading) for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    targets = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert targets
    assert not [target for target in targets if target not in headings]


def test_every_setting_that_is_named_exists():
    known = (PROJECT / "docs" / "operations.md").read_text()
    sections = "gateway|dicom|catalog|publish|placement|cache|keys|audit|web"
    named = set(re.findall(rf"`({sections})\.(\w+)`", TEXT)) - {("catalog", "sqlite")}  # a file
    assert named
    assert not [f"{section}.{key}" for section, key in named if f"| `{key}` |" not in known]
