"""`dgis explain`: why a caller may or may not, rule by rule."""

from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.callers import Caller, Right
from dgis import parts
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    failures_in_words,
    print_json,
)
from dgis.cli.find import caller_of_commands
from dgis.cli.opening import Opened, opened
from dgis.explain import Explanation, Operation, explain
from dgis.identity.authenticate import Authenticator
from dgis.identity.supposed import NobodySuch, Presented, by_assertions, by_peer, read, receiver
from dgis.roles.starting import trust

_COMMANDS = "cli"


def explain_command(
    caller: Annotated[
        list[str],
        typer.Option(
            help="AE_TITLE@ADDRESS; or field=value, once for each asserted fact; or cli, the caller of [cli]."
        ),
    ],
    study: Annotated[str, typer.Option(help="Study Instance UID: original, or pseudonym.")],
    operation: Annotated[Right, typer.Option(help="What the caller wants to do.")] = Right.FIND,
    original: Annotated[
        bool | None,
        typer.Option("--original/--deidentified", help="Which form.", show_default="as the UID names it"),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="AE title of a C-MOVE destination, which needs the rights, too."),
    ] = None,
    token: Annotated[Path | None, typer.Option(help="The caller presents this token.")] = None,
    saml: Annotated[Path | None, typer.Option(help="The caller presents this assertion.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="The caller presents this one (PEM).")] = None,
    account: Annotated[str | None, typer.Option(help="The caller logs in to this account.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say why a caller may or may not do something with a study; exit code 1 where it may not."""
    told = (NobodySuch, parts.StartError, OSError, ValueError)
    with failures_in_words(*told), opened(home, config) as gateway:
        presented = Presented(read(token), read(saml), _der(certificate), account)
        who = _caller(gateway, caller, presented)
        receives = None if to is None else receiver(gateway.configuration, to)
        with gateway.reading() as connection:
            asked = Operation(operation, original, receives)
            explanation = explain(connection, who, asked, study.strip(), parts.now_ms())
    if as_json:
        print_json(explanation.json())
    else:
        _say(explanation)
    if not explanation.granted:
        raise typer.Exit(FAILED)


def _caller(gateway: Opened, named: list[str], presented: Presented) -> Caller:
    peers = [each for each in named if "@" in each and "=" not in each]
    if len(peers) == len(named) == 1:
        return by_peer(gateway.configuration, _authenticator(gateway), gateway.engine, peers[0], presented)
    if presented != Presented():
        raise NobodySuch("a credential is presented by a peer: --caller AE_TITLE@ADDRESS")
    if named == [_COMMANDS]:
        return caller_of_commands(gateway.configuration)
    return by_assertions(named)


def _authenticator(gateway: Opened) -> Authenticator:
    return Authenticator(trust(gateway.configuration), gateway.engine, parts.now_ms, rehearsal=True)


def _der(certificate: Path | None) -> bytes | None:
    pem = read(certificate)
    return None if pem is None else x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def _say(explanation: Explanation) -> None:
    verdict = "granted" if explanation.granted else "refused"
    console.print(f"{verdict}: {explanation.caller}, {explanation.operation}", soft_wrap=True)
    about = ""
    for line in explanation.steps:
        if line.about != about:
            about = line.about
            console.print(f"  {about}", soft_wrap=True)
        console.print(f"    {'yes' if line.holds else 'no ':4}{line.words}", soft_wrap=True)
