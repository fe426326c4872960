import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dgis.cli.main import app


def leaves(command, path=()):
    subs = getattr(command, "commands", None)
    if subs is None:
        return [(" ".join(path), command)]
    return [leaf for name, each in subs.items() for leaf in leaves(each, (*path, name))]


GROUP = get_command(app)
COMMANDS = [
    leaf for name in GROUP.list_commands(None) for leaf in leaves(GROUP.get_command(None, name), (name,))
]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_takes_home_and_config(path, command):
    spellings = {spelling for parameter in command.params for spelling in parameter.opts}
    assert {"--home", "--config"} <= spellings


def test_they_may_be_said_where_they_are_not_needed(tmp_path):
    asked = ["record", "inspect", str(tmp_path / "none"), "--home", str(tmp_path), "--config", "x.toml"]
    answer = CliRunner().invoke(app, asked)
    assert answer.exit_code == 2
    assert "does not exist" in answer.output
