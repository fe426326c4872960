"""Assertions as JSON: written beside received bytes, read back when they are indexed, sealed with them."""

from collections.abc import Mapping
from functools import lru_cache

from catalog.callers import PATTERN_FIELDS, Assertions
from dgis.cache.values import Json


def to_json(assertions: Assertions) -> dict[str, Json]:
    """Return the asserted facts, absent ones left out."""
    facts: dict[str, Json] = {
        name: value for name in PATTERN_FIELDS if (value := getattr(assertions, name)) is not None
    }
    if assertions.extra:
        facts["extra"] = [[name, value] for name, value in assertions.extra]
    return facts


def from_json(said: Mapping[str, object]) -> Assertions:
    """Return the assertions that `to_json` wrote."""
    facts = tuple(str(said[name]) if name in said else None for name in PATTERN_FIELDS)
    extra = said.get("extra", ())
    pairs = tuple((str(name), str(value)) for name, value in extra) if isinstance(extra, list) else ()
    return _assertions(facts, pairs)


@lru_cache(maxsize=256)
def _assertions(facts: tuple[str | None, ...], extra: tuple[tuple[str, str], ...]) -> Assertions:
    """Return one value for all images of a publisher: it is asked for with each."""
    return Assertions(**dict(zip(PATTERN_FIELDS, facts, strict=True)), extra=extra)
