"""`dgis credential issue|root`: a login turned into a short-lived credential of the grid."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from catalog.audit.values import Event
from catalog.credentials.values import Rejected, Verified
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, fail, failures_in_words, print_json
from dgis.cli.opening import Opened, opened
from dgis.dimse.proposal import UserIdentity
from dgis.identity.authenticate import Authenticator
from dgis.identity.login import Counter
from dgis.roles.starting import trust
from dgis.trail.acts import act, record

app = typer.Typer(help="Short-lived credentials of the grid's own authority.", no_args_is_help=True)

_PASSCODE, _SAML, _JWT = 2, 4, 5  # PS3.7 D.3.3.7
_HOURS = 8 * 3600


@app.command()
def issue(
    token: Annotated[Path | None, typer.Option(help="Log in by a token of a trusted issuer.")] = None,
    saml: Annotated[Path | None, typer.Option(help="Log in by a SAML assertion.")] = None,
    user: Annotated[str | None, typer.Option(help="Log in by name; the passcode is asked for.")] = None,
    seconds: Annotated[int, typer.Option(help="How long it lives; never longer than the login.")] = _HOURS,
    certificate: Annotated[bool, typer.Option("--certificate", help="An X.509 one, with its key.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for it, 0600; absent: standard output.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Turn a login into a token (JWT), or a client certificate, that bears its assertions."""
    presented = _presented(token, saml, user)
    with (
        failures_in_words(parts.StartError, ValueError, OSError),
        opened(home, config) as gateway,
    ):
        counter = _counter(gateway)
        login = counter.login(presented)
        if isinstance(login, Rejected):
            fail(f"refused: {login.reason.value}")
        form = "certificate" if certificate else "token"
        made = _certificate(counter, login, seconds) if certificate else _token(counter, login, seconds)
        counter.issued(login, form, seconds)
        _hand_out(made, form, out, as_json=as_json)


@app.command()
def root(home: Home = None, config: Config = None) -> None:
    """Print what goes into dicom.tls_client_ca, so that doors take certificates of `issue`."""
    with failures_in_words(parts.StartError), opened(home, config) as gateway:
        authority, now_s = parts.open_authority(gateway.configuration), parts.now_ms() // 1000
        with gateway.engine.begin() as connection:
            record(connection, gateway.gateway_id, act(gateway.gateway_id, Event.CREDENTIAL, "root"))
        for made in (authority.root(now_s), authority.revoked(now_s)):
            sys.stdout.write(made.public_bytes(Encoding.PEM).decode("ascii"))


def _presented(token: Path | None, saml: Path | None, user: str | None) -> UserIdentity:
    given = [one for one in (token, saml, user) if one is not None]
    if len(given) != 1:
        raise typer.BadParameter("log in by one of --token, --saml and --user")
    with failures_in_words(OSError):
        if token is not None:
            return UserIdentity(_JWT, token.read_bytes().strip())
        if saml is not None:
            return UserIdentity(_SAML, saml.read_bytes())
    assert user is not None, "one was given"
    return UserIdentity(_PASSCODE, user.encode(), _passcode().encode())


def _passcode() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("passcode", hide_input=True))
    return sys.stdin.readline().rstrip("\n")


def _counter(gateway: Opened) -> Counter:
    configuration = gateway.configuration
    authority = parts.open_authority(configuration)
    authenticator = Authenticator(trust(configuration), gateway.engine, parts.now_ms)
    return Counter(authenticator, authority, gateway.engine, f"{gateway.gateway_id}/cli", parts.now_ms)


def _token(counter: Counter, login: Verified, seconds: int) -> str:
    return counter.authority.token(login, seconds, counter.clock_ms() // 1000) + "\n"


def _certificate(counter: Counter, login: Verified, seconds: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    made: x509.Certificate = counter.authority.certificate(
        login, key.public_key(), seconds, counter.clock_ms() // 1000
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + made.public_bytes(Encoding.PEM)).decode("ascii")


def _hand_out(made: str, form: str, out: Path | None, *, as_json: bool) -> None:
    if out is None:
        if as_json:
            print_json({form: made.strip()})
        else:
            sys.stdout.write(made)
        return
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)  # also where the file was there before
        file.write(made)
    if as_json:
        print_json({"form": form, "file": str(out)})
    else:
        console.print(f"{form} in {out}", soft_wrap=True)
