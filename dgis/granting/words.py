"""Grants in words: for lists of them, and for the chain that an explanation shows."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from catalog.callers import PATTERN_FIELDS, Assertions, Right
from catalog.grants import ANYONE, FOR_EVER_MS, Grant, What, Who


def who_words(who: Who) -> str:
    """Return whom a grant speaks of."""
    if who == ANYONE:
        return "anyone"
    return ", ".join(f"{field}={value}" for field, value in who.facts)


def what_words(what: What) -> str:
    """Return what a grant speaks of, by keys that name nobody."""
    if what.facility is not None:
        return f"facility {what.facility}"
    parts = [
        f"{name} {value}"
        for name, value in (
            ("series", what.series_key),
            ("study", what.study_key),
            ("patient", what.patient_key),
        )
        if value is not None
    ]
    if what.linked:
        parts.append("and the patients linked with it")
    if what.contributor_id is not None:
        parts.append(f"contributor {what.contributor_id}")
    return ", ".join(parts) or "everything"


def asserted_words(assertions: Assertions) -> str:
    """Return what somebody asserts."""
    pairs = [(field, value) for field in PATTERN_FIELDS for value in assertions.values(field)]
    return ", ".join(f"{field}={value}" for field, value in pairs) or "nothing"


def rights_words(rights: Iterable[Right]) -> str:
    """Return rights in their fixed order."""
    given = frozenset(rights)
    return ", ".join(right.value for right in Right if right in given) or "nothing"


def time_words(at_ms: int) -> str:
    """Return a moment (epoch milliseconds) in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def term_words(grant: Grant) -> str:
    """Return from when until when a grant holds."""
    begins = [f"from {time_words(grant.not_before_ms)}"] if grant.not_before_ms > 0 else []
    ends = [f"until {time_words(grant.not_after_ms)}"] if grant.not_after_ms < FOR_EVER_MS else []
    return " ".join([*begins, *ends]) or "without an end"


def grant_words(grant: Grant) -> str:
    """Return a grant in one line."""
    verb = "allows" if grant.allow else "denies"
    return (
        f"{verb} {who_words(grant.who)} to {rights_words(grant.may)} on {what_words(grant.what)}, "
        f"{term_words(grant)}, by {grant.granted_by or 'nobody known'}"
    )


def state_words(grant: Grant, now_ms: int) -> str:
    """Return whether a grant holds now, has ended, or has yet to begin."""
    if grant.holds_at(now_ms):
        return "in force"
    return "ended" if grant.not_after_ms <= now_ms else "not begun"


def grant_json(grant: Grant, now_ms: int) -> dict[str, Any]:
    """Return a grant for scripts; `until_ms` None is no end."""
    return {
        "id": grant.id,
        "state": state_words(grant, now_ms),
        "effect": "allow" if grant.allow else "deny",
        "who": {field: value for field in PATTERN_FIELDS if (value := getattr(grant.who, field)) is not None},
        "what": {name: value for name, value in asdict(grant.what).items() if value},
        "may": sorted(right.value for right in grant.may),
        "from_ms": grant.not_before_ms,
        "until_ms": grant.not_after_ms if grant.not_after_ms < FOR_EVER_MS else None,
        "by": grant.granted_by,
        "reason": grant.reason,
    }
