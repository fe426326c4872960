"""What has been kept long enough, by the rules, and is on no hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.tables import DEID, FAMILIES, PHI, Family, contributor
from dgis.cache.sql import in_lists
from dgis.retention import holds
from dgis.retention.configuration import RetentionRule
from dgis.retention.holds import Held

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Series:
    """One series of one contributor: its row in its family, and when its last image came."""

    row: int
    original: bool  # else only the de-identified form is left
    facility: str
    modality: str
    patient_key: str
    study_key: str
    series_key: str
    instances: int
    last_ms: int
    pending: int = 0

    @property
    def family(self) -> Family:
        """Whose row it is."""
        return PHI if self.original else DEID


@dataclass(frozen=True, slots=True)
class Due:
    """A series that a rule lets go; `held` says by which hold it stays all the same."""

    series: Series
    keep_days: int
    held: Held | None = None


def rule_of(rules: Sequence[RetentionRule], series: Series) -> RetentionRule | None:
    """Return the first rule that fits a series."""
    for rule in rules:
        if rule.facility in {None, series.facility} and rule.modality in {None, series.modality}:
            return rule
    return None


def is_due(rules: Sequence[RetentionRule], series: Series, now_ms: int) -> RetentionRule | None:
    """Return the rule by which a series has been kept long enough; what is not in the grid yet stays."""
    rule = rule_of(rules, series)
    if rule is None or series.pending or series.last_ms + rule.keep_days * _DAY_MS > now_ms:
        return None
    return rule


def due(connection: sa.Connection, rules: Sequence[RetentionRule], now_ms: int) -> Iterator[Due]:
    """Yield what is due, oldest first, held or not.

    Only series with an instance as old as the shortest rule asks for are looked at: these are what is due,
    what longer rules or holds keep, and what no rule is for.
    """
    if not rules:
        return
    held = holds.every(connection)
    until_ms = now_ms - min(rule.keep_days for rule in rules) * _DAY_MS
    found = [
        series
        for family in (PHI, DEID)
        for series in _of(connection, family, _old(connection, family, until_ms))
    ]
    for series in _in_order(found):
        rule = is_due(rules, series, now_ms)
        if rule is not None:
            keys = (series.patient_key, series.study_key, series.series_key)
            by = next((each for each in held if each.covers(*keys)), None)
            yield Due(series, rule.keep_days, by)


def known(connection: sa.Connection, only: Series) -> Series | None:
    """Return a series as it is now; None where it is gone."""
    found = list(_of(connection, only.family, [only.row]))
    return found[0] if found else None


def named(connection: sa.Connection, study_uid: str, series_uid: str | None = None) -> list[Series]:
    """Return the series of a study, or one of them, by UIDs: originals or pseudonyms; whoever contributed."""
    found: list[Series] = []
    for family in FAMILIES:
        study, series = family.study.c, family.series.c
        wanted = sa.select(series.id).join(family.study, study.id == series.study_row)
        wanted = wanted.where(sa.or_(study.study_instance_uid == study_uid, series.study_key == study_uid))
        if series_uid is not None:
            by_uid = sa.or_(series.series_instance_uid == series_uid, series.series_key == series_uid)
            wanted = wanted.where(by_uid)
        found += _of(connection, family, connection.scalars(wanted).all())
    return found


def _in_order(found: list[Series]) -> list[Series]:
    return sorted(found, key=lambda series: (series.last_ms, series.row))


def _old(connection: sa.Connection, family: Family, until_ms: int) -> Sequence[int]:
    """Return the rows of series with an instance of until then; asked alone, so that the index is used."""
    instance = family.instance.c
    old = sa.select(instance.series_row).where(_when(family) <= until_ms).distinct()
    return connection.scalars(old).all()


def _when(family: Family) -> sa.ColumnElement[int]:
    return family.instance.c.received_ms if family.original else family.instance.c.published_ms


def _of(connection: sa.Connection, family: Family, rows: Sequence[int]) -> Iterator[Series]:
    series, instance = family.series.c, family.instance.c
    pending = sa.func.count().filter(instance.record_key.is_(None))
    query = (
        sa.select(
            series.id.label("row"),
            contributor.c.facility,
            series.modality,
            series.patient_key,
            series.study_key,
            series.series_key,
            sa.func.count().label("instances"),
            sa.func.max(_when(family)).label("last_ms"),
            pending.label("pending"),
        )
        .select_from(family.series.join(family.instance, instance.series_row == series.id))
        .join(contributor, contributor.c.id == series.contributor_id)
        .group_by(series.id, contributor.c.facility)
    )
    if not family.original:
        mine = PHI.series.c
        query = query.where(
            ~sa.exists().where(
                mine.series_key == series.series_key,
                mine.study_key == series.study_key,
                mine.patient_key == series.patient_key,
                mine.contributor_id == series.contributor_id,
                mine.instance_count > 0,
            )
        )
    for some in in_lists(rows):
        for row in connection.execute(query.where(series.id.in_(some))):
            yield Series(original=family.original, **row._asdict())
