"""`dgis account first|add|passcode|logout|list|remove|token`: names and passcodes of this site."""

import sys
from typing import Annotated

import sqlalchemy as sa
import typer

from catalog.audit.values import Event, Json
from catalog.callers import LONGEST_VALUE, Assertions, is_assertable
from catalog.credentials import accounts
from catalog.credentials.passcodes import Account, hashed
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, fail, failures_in_words, print_json, print_table
from dgis.cli.opening import Opened, opened
from dgis.cli.rights import USUAL, May, rights
from dgis.cli.token import app as tokens
from dgis.identity.first import ADMINISTRATOR, make_first
from dgis.sessions.store import end_all
from dgis.sessions.values import owner_of
from dgis.trail.acts import act, record

app = typer.Typer(help="Names and passcodes of this site (argon2id).", no_args_is_help=True)
app.add_typer(tokens, name="token")

Name = Annotated[str, typer.Argument(help="The name the caller presents.")]


@app.command()
def first(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Make the first account, an administrator, and print its passcode for one login; not where there is one.

    It administers everything and sees no originals, until a grant gives it `phi`.
    """
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        passcode = make_first(connection, gateway.gateway_id, parts.now_ms())
        if passcode is not None:
            _record(gateway, connection, "first", ADMINISTRATOR)
    if passcode is None:
        fail("there are accounts already (dgis account list, dgis account passcode NAME)")
    if as_json:
        print_json({"account": ADMINISTRATOR, "passcode": passcode})
    else:
        console.print(f"administrator {ADMINISTRATOR}, passcode for the first login {passcode}")


@app.command()
def add(
    name: Name,
    department: Annotated[str | None, typer.Option(help="What the account asserts.")] = None,
    institution: Annotated[str | None, typer.Option(help="What the account asserts.")] = None,
    role: Annotated[str | None, typer.Option(help="What the account asserts.")] = None,
    may: May = list(USUAL),  # noqa: B006 (typer reads it as what the help shows)
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Add an account; the passcode is asked for, or read from standard input."""
    allowed = rights(may)
    said = Assertions(user=name, department=department, institution=institution, role=role)
    if not all(is_assertable(value or "") for value in (name, department, institution, role)):
        fail(f"a name or a value has {LONGEST_VALUE} characters at most, none of control")
    with failures_in_words(ValueError), opened(home, config) as gateway, gateway.engine.begin() as connection:
        made = accounts.add(connection, Account(name, hashed(_passcode()), said, allowed))
        if made:
            _record(gateway, connection, "add", name, {"may": [*sorted(each.value for each in allowed)]})
    if not made:
        fail("there is an account of that name (dgis account passcode changes its passcode)")
    if as_json:
        print_json({"added": name})
    else:
        console.print(f"added {name}")


@app.command()
def passcode(name: Name, home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Give an account another passcode; it no longer rests after wrong ones."""
    with failures_in_words(ValueError), opened(home, config) as gateway, gateway.engine.begin() as connection:
        changed = accounts.change_passcode(connection, name, _passcode())
        if changed:
            _record(gateway, connection, "passcode", name)
    _done(name, "changed", changed, as_json=as_json)


@app.command()
def logout(
    name: Annotated[str, typer.Argument(help="The user, as the account or the provider calls them.")],
    issuer: Annotated[
        str | None, typer.Option(help="Of this provider; absent: of an account.", show_default=False)
    ] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """End every session that somebody has in browsers; tokens stay (dgis account token revoke)."""
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        ended = end_all(connection, owner_of(issuer or gateway.gateway_id, name))
        _record(gateway, connection, "logout", name, {"sessions": ended})
    if as_json:
        print_json({"ended": ended})
    else:
        console.print(f"ended {ended} sessions")


@app.command()
def remove(name: Name, home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Remove an account; whoever is connected stays until the association ends."""
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        removed = accounts.remove(connection, name)
        if removed:
            _record(gateway, connection, "remove", name)
    _done(name, "removed", removed, as_json=as_json)


@app.command("list")
def list_accounts(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the accounts and what they assert; never a passcode or its hash."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = [
            {
                "name": one.name,
                **{field: getattr(one.assertions, field) for field in ("department", "institution", "role")},
                "may": sorted(right.value for right in one.may),
                "failures": one.failures,
                "one_time": one.one_time,
            }
            for one in accounts.every(connection)
        ]
    if as_json:
        print_json(rows)
        return
    columns = ("name", "department", "institution", "role", "may", "failures", "one_time")
    print_table(columns, ([_text(row[column]) for column in columns] for row in rows))


def _record(
    gateway: Opened, connection: sa.Connection, what: str, name: str, detail: dict[str, Json] | None = None
) -> None:
    happening = act(gateway.gateway_id, Event.ACCOUNT, what, {**(detail or {}), "account": name})
    record(connection, gateway.gateway_id, happening)


def _done(name: str, what: str, done: bool, *, as_json: bool) -> None:
    if not done:
        fail("no account of that name (dgis account list)")
    if as_json:
        print_json({what: name})
    else:
        console.print(f"{what} {name}")


def _passcode() -> str:
    """Ask for a passcode, twice where a person types it."""
    if sys.stdin.isatty():
        return str(typer.prompt("passcode", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
