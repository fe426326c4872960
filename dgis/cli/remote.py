"""What commands share that ask a gateway elsewhere: where it is, and who they are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dgis.cli.common import fail
from dgis.client import environment
from dgis.client.errors import GridError
from dgis.client.login import login
from dgis.client.transport import Transport

Url = Annotated[
    str | None, typer.Option("--url", help="Ask a gateway elsewhere, by the URL of its web door.")
]
Credential = Annotated[
    Path | None,
    typer.Option("--credential", help="With --url: file with a token, as of dgis credential issue --out."),
]
Account = Annotated[
    str | None,
    typer.Option("--account", help="With --url: name of an account there; its passcode is asked for."),
]


@contextmanager
def connected(url: str, credential: Path | None, account: str | None) -> Iterator[Transport]:
    """Connect as the options say, else as the environment does; what goes wrong ends the command in words."""
    passcode = ""
    if account:
        passcode = environment.said(environment.PASSCODE) or typer.prompt(
            "passcode", hide_input=True, err=True
        )
    try:
        auth = login(None, (account, passcode) if account else None, credential)
        transport = Transport(url, auth)
        try:
            yield transport
        finally:
            transport.close()
    except GridError as error:
        fail(str(error))


def only_with_url(credential: Path | None, account: str | None) -> None:
    """Refuse options of a gateway elsewhere where none is named."""
    if credential or account:
        raise typer.BadParameter("--credential and --account are of a gateway elsewhere: name its --url")
