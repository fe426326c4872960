"""`dgis backup`, `dgis restore`: what no node holds, into one encrypted file and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from catalog.audit.values import Event, Json
from deid.keys.files import create_secrets
from deid.keys.store import KeyStore
from deid.keys.values import KeysError
from dgis import database, fleet, parts
from dgis.backup.box import Opener
from dgis.backup.keys import back_up_keys, restore_keys
from dgis.backup.making import Made, Subject, back_up, file_name, prune
from dgis.backup.rehearsing import rehearse as rehearsed
from dgis.backup.restoring import Since, restore_into
from dgis.backup.values import BackupError
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    fail,
    failures_in_words,
    load_configuration,
    print_fields,
    print_json,
)
from dgis.cli.opening import opened
from dgis.configuration import Configuration
from dgis.departed import notes
from dgis.trail.acts import act, record

app = typer.Typer(help="Back up what no node holds, and rehearse bringing it back.")

KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="What opens the backup [default: backup.key_file].")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A passphrase in its place: the first line of a file."),
]
KeysFrom = Annotated[Path | None, typer.Option("--keys", help="A backup of the keys, made by --with-keys.")]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder or new file [default: backup.folder].")
    ] = None,
    with_keys: Annotated[
        Path | None, typer.Option("--with-keys", help="Also the keys, into a file at another place.")
    ] = None,
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write database and configuration, as of one moment, into one encrypted file; the gateway may run."""
    if context.invoked_subcommand is not None:
        return
    with failures_in_words(BackupError), opened(home, config) as gateway, _busy() as told:
        configuration = gateway.configuration
        opener = _opener(configuration, key_file, passphrase_file, make=True)
        now_ms = parts.now_ms()
        path = _target(configuration, to, now_ms)
        if with_keys is not None and with_keys.absolute().parent == path.absolute().parent:
            fail("--with-keys must name another place: who has both files has everything")
        made = back_up(Subject(configuration, gateway.engine, config), path, opener, now_ms, told)
        made = replace(made, pruned=_pruned(configuration, made, now_ms))
        keys = None
        if with_keys is not None:
            keys = back_up_keys(configuration, with_keys, opener, now_ms, told)
        detail: dict[str, Json] = {"keys": keys is not None, "pruned": len(made.pruned)}
        with gateway.engine.begin() as connection:
            happening = act(gateway.gateway_id, Event.CONFIGURATION, "backup", detail)
            record(connection, gateway.gateway_id, happening)
    _say_made(made, keys, as_json=as_json)


@app.command()
def rehearse(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into a scratch place and say whether it would save you; changes nothing."""
    configuration = load_configuration(home, config)
    with failures_in_words(BackupError, KeysError, parts.StartError), _busy() as told:
        opener = _opener(configuration, key_file, passphrase_file)
        own = fleet.open_fleet(configuration)
        since = _since(configuration, _keys_at_hand(configuration))
        found = rehearsed(parts.scratch(configuration), file, opener, (own, since), told)
    if as_json:
        manifest = found.restored.manifest.as_json()
        values = {**asdict(found), "saves": found.saves, "words": list(found.words())}
        print_json({**values, "restored": {**asdict(found.restored), "manifest": manifest}})
    else:
        for line in found.words():
            console.print(line, soft_wrap=True)
    if not found.saves:
        raise typer.Exit(FAILED)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    keys: KeysFrom = None,
    without_keys: Annotated[
        bool,
        typer.Option("--without-keys", help="No key store is at hand: who was erased since comes back."),
    ] = False,
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty database; erasures and withdrawals since are applied before it is there."""
    configuration = load_configuration(home, config)
    told_of = (BackupError, KeysError, parts.StartError)
    with failures_in_words(*told_of), _busy() as told, _engine(configuration) as engine:
        opener = _opener(configuration, key_file, passphrase_file)
        brought = restore_keys(configuration.keys, keys, opener) if keys is not None else 0
        store = _keys_at_hand(configuration)
        if store is None and not without_keys:
            fail("no keys are at hand: bring site secret, kek and stores, or a backup of them (--keys)")
        done = restore_into(engine, file, opener, _since(configuration, store), told)
        name = configuration.gateway.name
        detail: dict[str, Json] = {"made_ms": done.manifest.made_ms, "erasures": done.erasures}
        with engine.begin() as connection:
            record(connection, name, act(name, Event.CONFIGURATION, "restore", detail))
    values: dict[str, Any] = {
        "made_ms": done.manifest.made_ms,
        "rows": sum(done.manifest.rows.values()),
        "patient_keys": brought,
        "erasures_since": done.erasures,
        "withdrawn_since": done.withdrawn,
        "nodes_that_do_not_answer": list(done.unreachable),
        "next": "dgis rebuild: finds what was published since the backup",
    }
    if as_json:
        print_json(values)
    else:
        print_fields(values)


@contextmanager
def _engine(configuration: Configuration) -> Iterator[sa.Engine]:
    try:
        engine = database.open_engine(configuration)
    except OSError as error:
        raise parts.StartError(f"cannot write {configuration.gateway.home}: {error.strerror}") from None
    try:
        yield engine
    except sa.exc.OperationalError:
        raise parts.StartError("the database does not answer") from None
    finally:
        engine.dispose()


def _opener(
    configuration: Configuration, key_file: Path | None, passphrase_file: Path | None, *, make: bool = False
) -> Opener:
    if key_file is not None and passphrase_file is not None:
        raise typer.BadParameter("a key file or a passphrase, not both")
    if passphrase_file is not None:
        return Opener.passphrase_file(passphrase_file)
    path = key_file or configuration.backup.key_file
    if path is None:
        fail("say what opens it: --key-file, --passphrase-file, or backup.key_file in the configuration")
    if make and create_secrets(path):
        words = f"made the key {path}: keep a copy apart from the backups; without it none of them opens"
        errors.print(words, soft_wrap=True)
    return Opener.key_file(path)


def _target(configuration: Configuration, to: Path | None, now_ms: int) -> Path:
    where = to or configuration.backup.folder
    if where is None:
        fail("say where to: --to FOLDER, or backup.folder in the configuration")
    is_file = where.suffix == ".backup"
    return where if is_file else where / file_name(configuration.gateway.name, now_ms)


def _pruned(configuration: Configuration, made: Made, now_ms: int) -> tuple[str, ...]:
    keep_days = configuration.backup.keep_days
    if keep_days is None:
        return ()
    return tuple(prune(made.path.parent, configuration.gateway.name, keep_days, now_ms))


def _keys_at_hand(configuration: Configuration) -> KeyStore | None:
    if parts.first_start_makes_keys(configuration):
        return None
    _site, keys = parts.open_keys(configuration)
    return keys


def _since(configuration: Configuration, keys: KeyStore | None) -> Since:
    own = fleet.open_fleet(configuration)
    return Since(keys, lambda unreachable: notes.told(own, unreachable, parts.now_ms()), parts.now_ms)


@contextmanager
def _busy() -> Iterator[Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("working", total=None)
        yield lambda what: progress.update(task, description=what)


def _say_made(made: Made, keys: Made | None, *, as_json: bool) -> None:
    values: dict[str, Any] = {
        "file": str(made.path),
        "bytes": made.size,
        "rows": sum(made.manifest.rows.values()),
        "pruned": list(made.pruned),
        "keys": str(keys.path) if keys else None,
    }
    if as_json:
        print_json(values)
    else:
        print_fields({name: value for name, value in values.items() if value})
