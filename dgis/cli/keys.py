"""`dgis keys init|status|rotate|shred`: the site secret, the key-encryption key and the key stores."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from catalog.audit.values import Event, Json
from deid.keys.census import VaultCount, census
from deid.keys.folder import FolderVault
from deid.keys.rotation import Rotation, Step, prepare_kek, rotate_kek
from deid.keys.setup import keys_init, load_ring
from deid.keys.values import KeysError
from dgis import database, failpoints, parts
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    failures_in_words,
    load_configuration,
    print_json,
    print_table,
)
from dgis.cli.shred import shred
from dgis.configuration import Configuration, Keys
from dgis.trail.acts import act, record

app = typer.Typer(help="The keys that pseudonyms and seals hang on.", no_args_is_help=True)
app.command()(shred)


@app.command()
def init(
    home: Home = None,
    config: Config = None,
    new_set: Annotated[
        bool, typer.Option("--new-set", help="A key-encryption key without any store is a beginning.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make what is missing of site secret, key-encryption key and key stores; change nothing else."""
    configuration = load_configuration(home, config)
    keys = configuration.keys
    assert keys.site_secret_file is not None, "dgis.settings fills it in"
    with failures_in_words(KeysError):
        made = keys_init(keys.site_secret_file, _kek(keys), keys.stores, new_set=new_set)
    _record(configuration, "init", asdict(made))
    if as_json:
        print_json(asdict(made))
        return
    for what, new, path in (
        ("site secret", made.site_secret, keys.site_secret_file),
        ("key-encryption key", made.key_encryption_key, _kek(keys)),
    ):
        console.print(f"{what}: {'made' if new else 'was there'}, {path}", markup=False, soft_wrap=True)
    console.print(f"key stores: {len(keys.stores)}, of which {made.stores} new")
    console.print("Keep copies of both files apart from the nodes: without them what is sealed is lost.")


@app.command()
def status(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Count what each key store holds; exit with 1 where one does not answer or a copy is not well."""
    keys = load_configuration(home, config).keys
    with failures_in_words(KeysError):
        ring = load_ring(_kek(keys))
        counts = census([FolderVault(path) for path in keys.stores], ring)
    rotating = len(ring.keks) > 1
    if as_json:
        print_json({"rotating": rotating, "stores": [asdict(each) for each in counts]})
    else:
        columns = ("key store", "answers", "keys", "to re-wrap", "destroyed", "unreadable", "missing")
        print_table(columns, map(_row, counts))
        if rotating:
            console.print("a rotation is under way: dgis keys rotate goes on with it")
    if not all(map(_is_well, counts)):
        raise typer.Exit(FAILED)


@app.command()
def rotate(
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Only write the new key beside the old, to be copied to other hosts."),
    ] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Wrap every patient's key under a new key-encryption key, and drop the old one; the gateway may run.

    Repeat it where it was interrupted or a key store was away: it goes on from there. With key files of their
    own on other hosts, first --prepare and copy the file there; after the rotation copy it again.
    """
    configuration = load_configuration(home, config)
    keys = configuration.keys
    with failures_in_words(KeysError):
        if prepare:
            made = prepare_kek(_kek(keys))
            _record(configuration, "prepare", {"made": made})
            _say_prepared(keys, made=made, as_json=as_json)
            return
        ended = _rotate(keys)
    _record(configuration, "rotate", {"retired": ended.retired, "pending": len(ended.pending)})
    if as_json:
        print_json(asdict(ended))
    else:
        for label in ended.pending:
            errors.print(f"{label} does not answer, or holds a key that nobody can read", markup=False)
        console.print(
            "every patient's key is under the new key-encryption key; the old one is gone from the file: "
            "destroy its other copies, and back this one up"
            if ended.retired
            else "both key-encryption keys stay in the file until the rest is re-wrapped: run it again",
            soft_wrap=True,
        )
    if not ended.retired:
        raise typer.Exit(FAILED)


def _record(configuration: Configuration, what: str, detail: dict[str, Json]) -> None:
    """Record what was done, where there is a trail yet; it cannot be undone where that takes no record."""
    url = database.database_url(configuration)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return  # the first start records itself
    name = configuration.gateway.name
    try:
        engine = parts.open_database(configuration)
        with engine.begin() as connection:
            record(connection, name, act(name, Event.KEYS, what, detail))
        engine.dispose()
    except (parts.StartError, sa.exc.SQLAlchemyError):
        errors.print("this is not in the audit trail: the database does not take it", markup=False)


def _rotate(keys: Keys) -> Rotation:
    total = sum(each.keys + each.unreadable + each.shredded for each in _count(keys))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        bar = progress.add_task("re-wrapping", total=total)

        def told(step: Step) -> None:
            if step is Step.COPY:
                progress.advance(bar)
            failpoints.hit(f"keys.{step}")

        return rotate_kek(_kek(keys), keys.stores, told)


def _count(keys: Keys) -> tuple[VaultCount, ...]:
    return census([FolderVault(path) for path in keys.stores], load_ring(_kek(keys)))


def _say_prepared(keys: Keys, *, made: bool, as_json: bool) -> None:
    if as_json:
        print_json({"prepared": made, "file": str(_kek(keys))})
        return
    state = "holds a new key before the old one" if made else "held two keys already"
    console.print(f"{_kek(keys)} {state}", markup=False, soft_wrap=True)
    console.print("Copy it to every host now, then run dgis keys rotate on one of them.")


def _row(each: VaultCount) -> tuple[str, ...]:
    numbers = (each.keys, each.outdated, each.shredded, each.unreadable, each.missing)
    return (each.label, "yes" if each.answers else "NO", *map(str, numbers))


def _is_well(each: VaultCount) -> bool:
    return each.answers and not each.unreadable and not each.missing


def _kek(keys: Keys) -> Path:
    assert keys.key_encryption_key_file is not None, "dgis.settings fills it in"
    return keys.key_encryption_key_file
