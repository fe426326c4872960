"""`dgis keys init`: the site secret, the key-encryption key and the key stores."""

from dataclasses import asdict
from typing import Annotated

import typer

from deid.keys.setup import keys_init
from deid.keys.values import KeysError
from dgis.cli.common import AsJson, Config, Home, console, failures_in_words, load_configuration, print_json

app = typer.Typer(help="The keys that pseudonyms and seals hang on.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """The keys that pseudonyms and seals hang on."""


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
    keys = load_configuration(home, config).keys
    assert keys.site_secret_file is not None, "dgis.settings fills it in"
    assert keys.key_encryption_key_file is not None, "likewise"
    with failures_in_words(KeysError):
        made = keys_init(keys.site_secret_file, keys.key_encryption_key_file, keys.stores, new_set=new_set)
    if as_json:
        print_json(asdict(made))
        return
    for what, new, path in (
        ("site secret", made.site_secret, keys.site_secret_file),
        ("key-encryption key", made.key_encryption_key, keys.key_encryption_key_file),
    ):
        console.print(f"{what}: {'made' if new else 'was there'}, {path}", markup=False, soft_wrap=True)
    console.print(f"key stores: {len(keys.stores)}, of which {made.stores} new")
    console.print("Keep copies of both files apart from the nodes: without them what is sealed is lost.")
