"""The only file that reads the environment: defaults < TOML file < DGIS__SECTION__KEY < command line."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from dgis.configuration import EMBEDDED_NODES, Configuration, FolderNode, Keys

_PREFIX = "DGIS__"


class ConfigurationError(Exception):
    """The configuration cannot be used; the message names the key and what would be right."""


def load(config_file: Path | None = None, home: Path | None = None) -> Configuration:
    """Return the effective configuration.

    Raises:
        ConfigurationError: unknown key (the nearest known one is named), bad value, unreadable file.
    """
    written = _read_toml(config_file) if config_file else {}
    environment = _environment_with_secret_files(os.environ)

    class Layered(Configuration):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_args: object, **_kwargs: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            env = EnvSettingsSource(settings_cls, env_prefix=_PREFIX, env_nested_delimiter="__")
            env.env_vars = environment
            said = {"gateway": {"home": home}} if home else {}
            return InitSettingsSource(settings_cls, said), env, InitSettingsSource(settings_cls, written)

    try:
        return _with_defaults(Layered())
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(item) for item in error.errors())) from None
    except SettingsError as error:
        raise ConfigurationError(f"environment: {error}; a list or a table is written as JSON") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def _environment_with_secret_files(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the DGIS__ variables in lower case; DGIS__X__Y_FILE becomes the content of the file it names."""
    found: dict[str, str | None] = {}
    for name, text in environ.items():
        if not name.startswith(_PREFIX):
            continue
        path = name.removeprefix(_PREFIX).lower().split("__")
        if path[0] not in Configuration.model_fields:
            raise ConfigurationError(f"environment: {_unknown(path[:1])}")
        key = name.lower()
        if key.endswith("_file") and path[-1] not in _known_keys(path[:-1]):
            key = key.removesuffix("_file")
            try:
                text = Path(text).read_text("utf-8").strip()  # noqa: PLW2901 (the value the name stands for)
            except OSError as error:
                raise ConfigurationError(f"{name}: cannot read {text}: {error.strerror}") from None
        found[key] = text
    return found


def _with_defaults(read: Configuration) -> Configuration:
    """Fill in what the embedded default keeps under the home: nodes and keys."""
    home = read.gateway.home.expanduser().absolute()
    nodes = read.nodes or tuple(
        FolderNode(name=name, path=home / "nodes" / name, site=site) for name, site in EMBEDDED_NODES
    )
    keys = Keys(
        site_secret_file=(read.keys.site_secret_file or home / "keys" / "site-secret").absolute(),
        key_encryption_key_file=(read.keys.key_encryption_key_file or home / "keys" / "kek").absolute(),
        grid_key_file=(read.keys.grid_key_file or home / "keys" / "grid-key").absolute(),
        grid_jwks_file=(read.keys.grid_jwks_file or home / "run" / "grid-jwks.json").absolute(),
        audit_key_file=(read.keys.audit_key_file or home / "keys" / "audit-key").absolute(),
        stores=tuple(store.absolute() for store in read.keys.stores)
        or (home / "keys" / "store-a", home / "keys" / "store-b"),
    )
    sections = {name: getattr(read, name) for name in Configuration.model_fields}
    gateway = read.gateway.model_copy(update={"home": home})
    return Configuration.model_construct(**{**sections, "gateway": gateway, "nodes": nodes, "keys": keys})


def _explain(item: Mapping[str, Any]) -> str:
    location = [str(part) for part in item["loc"] if part not in {"folder", "s3"}]
    if item["type"] == "extra_forbidden":
        return _unknown(location)
    return f"{'.'.join(location) or 'configuration'}: {item['msg']}"


def _unknown(location: list[str]) -> str:
    near = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1, cutoff=0.4)
    return f"unknown key {'.'.join(location)}" + (f"; did you mean {near[0]}?" if near else "")


def _known_keys(path: list[str]) -> list[str]:
    models: list[type[BaseModel]] = [Configuration]
    for part in path:
        if part.isdigit():  # an entry of a list: the model of the list's items is already at hand
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [below for field in fields for below in _models_in(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
