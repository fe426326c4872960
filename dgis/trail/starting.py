"""Start and stop of a role in the trail, and what its configuration has changed since it last started."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
import structlog

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from dgis.cache.sql import upsert
from dgis.configuration import Configuration
from dgis.grants import apply_standing_grants
from dgis.repository.tables import configuration_applied

_log = structlog.get_logger(__name__)

_NOT_SETTINGS = frozenset({"failpoints"})
_MOST_NAMES = 200


def started(connection: sa.Connection, configuration: Configuration, role: str, now_ms: int) -> None:
    """Record that a role starts, with which configuration; apply the standing grants and record that, too."""
    writer = f"{configuration.gateway.name}/{role}"
    happenings = [Happening(Event.ACTIVITY, "", detail={"what": "start", "role": role})]
    happenings += _configured(connection, configuration, writer)
    given, ended = apply_standing_grants(connection, configuration, now_ms)
    if given or ended:
        detail: dict[str, Json] = {"what": "standing", "given": [*given], "ended": [*ended]}
        happenings.append(Happening(Event.GRANT, "configuration", detail=detail))
    trail.append(connection, writer, happenings, now_ms)


def stopped(engine: sa.Engine, configuration: Configuration, role: str, now_ms: int) -> None:
    """Record that a role stops in order; one that was killed leaves only its next start."""
    happening = Happening(Event.ACTIVITY, "", detail={"what": "stop", "role": role})
    try:
        with engine.begin() as connection:
            trail.append(connection, f"{configuration.gateway.name}/{role}", [happening], now_ms)
    except sa.exc.SQLAlchemyError as error:
        _log.warning("stop_not_recorded", error=type(error).__name__)


def digests(configuration: Configuration) -> dict[str, str]:
    """Return a digest of each setting by its name; secrets are not in what is digested."""
    values = configuration.model_dump(mode="json", exclude=set(_NOT_SETTINGS))
    return {name: _digest(value) for name, value in _settings(values)}


def _settings(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, keys in values.items():
        if isinstance(keys, dict):
            yield from ((f"{section}.{key}", value) for key, value in keys.items())
        else:
            yield section, keys


def _digest(value: object) -> str:
    canonical = json.dumps(_ordered(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _ordered(value: object) -> object:
    """Sets come in any order; whatever is in a list by chance must not look like a change."""
    if isinstance(value, dict):
        return {name: _ordered(each) for name, each in value.items()}
    if isinstance(value, list):
        texts = [each for each in value if isinstance(each, str)]
        return sorted(texts) if len(texts) == len(value) else [_ordered(each) for each in value]
    return value


def _configured(connection: sa.Connection, configuration: Configuration, writer: str) -> Iterator[Happening]:
    now = digests(configuration)
    known = sa.select(configuration_applied.c.settings).where(configuration_applied.c.writer == writer)
    text = connection.scalar(known)
    before: dict[str, str] = {} if text is None else json.loads(text)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if not changed:
        return
    row = {"writer": writer, "settings": json.dumps(now, sort_keys=True)}
    upsert(connection, configuration_applied, [row], key=("writer",), update={"settings": row["settings"]})
    detail: dict[str, Json] = {"what": "changed" if before else "first", "digest": _digest(now)}
    if before:
        detail["settings"] = [*changed[:_MOST_NAMES]]
    yield Happening(Event.CONFIGURATION, "configuration", detail=detail)
