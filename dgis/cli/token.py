"""`dgis account token add|list|revoke`: what scripts present for an account."""

from typing import Annotated

import typer

from catalog.audit.values import Event, Json
from catalog.credentials import opaque
from catalog.credentials.opaque import Wanted
from dgis import parts
from dgis.cli.common import (
    AsJson,
    Config,
    Home,
    console,
    fail,
    failures_in_words,
    moment,
    print_json,
    print_table,
)
from dgis.cli.opening import opened
from dgis.cli.rights import USUAL, May, rights
from dgis.granting.words import rights_words
from dgis.trail.acts import act, record

app = typer.Typer(help="Tokens of accounts, for scripts.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The account it stands for.")],
    label: Annotated[str, typer.Option(help="What it is for; names no patient.")] = "",
    may: May = list(USUAL),  # noqa: B006 (typer reads it as what the help shows)
    days: Annotated[int, typer.Option(help=f"How long it lives, {opaque.LONGEST_DAYS} at most.")] = 90,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once: the gateway keeps a digest alone."""
    allowed = rights(may)
    with failures_in_words(ValueError), opened(home, config) as gateway, gateway.engine.begin() as connection:
        made, secret = opaque.add(connection, Wanted(name, label, allowed, days), parts.now_ms())
        detail: dict[str, Json] = {
            "account": name,
            "token": made.id,
            "may": [*sorted(each.value for each in allowed)],
        }
        happening = act(gateway.gateway_id, Event.ACCOUNT, "token", detail)
        record(connection, gateway.gateway_id, happening)
    if as_json:
        print_json({"id": made.id, "token": secret, "until_ms": made.until_ms})
    else:
        console.print(f"{secret}\n{made.id} until {moment(made.until_ms)}", soft_wrap=True)


@app.command("list")
def list_tokens(
    name: Annotated[str | None, typer.Argument(help="Of this account alone.", show_default=False)] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens, never what is presented."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        found = list(opaque.every(connection, name))
    rows = [
        {
            "id": one.id,
            "account": one.account,
            "label": one.label,
            "may": sorted(right.value for right in one.may),
            "made_ms": one.made_ms,
            "until_ms": one.until_ms,
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "account", "label", "may", "made", "until")
    shown = (
        (one.id, one.account, one.label, rights_words(one.may), moment(one.made_ms), moment(one.until_ms))
        for one in found
    )
    print_table(columns, shown)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID")],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a token away; the next request with it is refused."""
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        was = opaque.revoke(connection, token_id)
        if was is not None:
            detail = {"account": was.account, "token": was.id}
            happening = act(gateway.gateway_id, Event.ACCOUNT, "token-revoked", {**detail})
            record(connection, gateway.gateway_id, happening)
    if was is None:
        fail("no token of that id (dgis account token list)")
    if as_json:
        print_json({"revoked": token_id})
    else:
        console.print(f"revoked {token_id} of {was.account}")
