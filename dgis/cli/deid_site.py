"""What `dgis deid` is told: its folders, its secret, and the rules to go by."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import typer

from deid.cleaned import Decode
from deid.keys.files import create_secrets, load_secrets
from deid.keys.values import KeysError
from deid.profile import Profile, ProfileError
from deid.pseudonyms import SECRET_BYTES, SiteSecrets
from deid.verdict import PixelRule
from dgis.cli.common import errors, fail, failures_in_words, load_configuration
from dgis.configuration import Configuration

USAGE = 2

_DEFAULT_OPTIONS = ("modified-dates",)


@dataclass(frozen=True, slots=True)
class Site:
    """Whose files these are, and by which rules; `lasting`: the secret is kept, so pseudonyms come again."""

    secrets: SiteSecrets
    lasting: bool
    facility: str
    profile: Profile
    rules: tuple[PixelRule, ...] | None


def check(source: Path, out: Path, sealed: Path | None, secret: Path | None, names: Path | None) -> None:
    """Refuse folders that lie in each other: what is published would hold originals or keys."""
    _apart("FILE_OR_DIR", source, "--out", out)
    _apart("FILE_OR_DIR", source, "--sealed", sealed)
    _apart("--out", out, "--sealed", sealed)
    _outside("--secret-file", secret, "--out", out)
    _outside("--secret-file", secret, "--sealed", sealed)
    _outside("--report with --name-files", names, "--out", out)


def check_restore(
    source: Path | None, out: Path, sealed: Path | None, secret: Path | None, *, init_secret: bool
) -> Path:
    """Return the sealed folder; refuse what nothing is given back from, and originals among the published."""
    if sealed is None or not sealed.is_dir():
        usage("--restore needs --sealed with the folder that an earlier run filled")
    if init_secret:
        usage("--restore needs the secret of the run that sealed; a new one opens nothing")
    if source is not None and not source.exists():
        usage("FILE_OR_DIR: give what was de-identified, or nothing where pixels were sealed too")
    _apart("FILE_OR_DIR", source, "--out", out)
    _apart("--sealed", sealed, "--out", out)
    _outside("--secret-file", secret, "--out", out)
    return sealed


def _apart(one_name: str, one: Path | None, other_name: str, other: Path | None) -> None:
    _outside(one_name, one, other_name, other)
    _outside(other_name, other, one_name, one)


def _outside(inner_name: str, inner: Path | None, outer_name: str, outer: Path | None) -> None:
    if inner is not None and outer is not None and inner.resolve().is_relative_to(outer.resolve()):
        usage(f"{inner_name} lies inside {outer_name}: keep them apart")


def configuration_of(home: Path | None, config: Path | None) -> Configuration | None:
    """Return the configuration of a gateway, where one is named."""
    return load_configuration(home, config) if home or config else None


def site_of(
    secret_file: Path | None,
    options: list[str] | None,
    facility: str | None,
    configuration: Configuration | None,
    *,
    sealed: bool,
    init_secret: bool,
) -> Site:
    """Return secret, facility and rules: what was named, else the configuration's, else the default."""
    if secret_file is None and sealed:
        usage("what is sealed hangs on a secret: give --secret-file (--init-secret makes it)")
    if secret_file is None and init_secret:
        usage("--init-secret needs --secret-file with the place for it")
    named = [name.strip() for text in options or () for name in text.split(",") if name.strip()]
    rules: tuple[PixelRule, ...] | None = None
    if configuration is not None:
        rules, named = _configured(configuration, named)
        facility = configuration.gateway.facility if facility is None else facility
    try:
        profile = Profile.named("basic", named or _DEFAULT_OPTIONS)
    except ProfileError as error:
        usage(f"--options: {error}")
    secret = (
        secrets.token_bytes(SECRET_BYTES) if secret_file is None else _secret(secret_file, make=init_secret)
    )
    return Site(SiteSecrets(secret), secret_file is not None, facility or "", profile, rules)


def _configured(configuration: Configuration, named: list[str]) -> tuple[tuple[PixelRule, ...], list[str]]:
    # Loads most of the gateway: only for those who name one.
    from dgis.parts import StartError, pixel_rules  # noqa: PLC0415

    with failures_in_words(StartError):
        return pixel_rules(configuration), named or list(configuration.deid.options)


def decoder() -> Decode:
    """Return what decodes pixels that a site's rule has blanked; made in each process, for one at a time."""
    # Starts a child process when it is first needed; loaded only where a site has rules.
    from dgis.decoding import SpooledDecoder  # noqa: PLC0415
    from dgis.transcode.transcoder import GatewayTranscoder  # noqa: PLC0415

    return SpooledDecoder(GatewayTranscoder(decoders=1), None)


def _secret(file: Path, *, make: bool) -> bytes:
    with failures_in_words(KeysError):
        try:
            if make:
                create_secrets(file)
        except OSError as error:
            fail(f"the secret file cannot be made: {error.strerror}")
        if not file.exists():
            fail(
                "there is no such secret file. If it was lost, bring it back from a copy: a new one makes "
                "other pseudonyms and opens nothing that is sealed. To begin, add --init-secret"
            )
        found = load_secrets(file)
    if len(found) != 1:
        fail("the secret file has more than one line: this is no site secret")
    return found[0]


def usage(message: str) -> NoReturn:
    """Say what is wrong with the command line, and exit with 2."""
    errors.print(message, style="red", markup=False)
    raise typer.Exit(USAGE)
