"""What has been kept long enough, by the rules, and is on no hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.tables import DEID, PHI, Family, contributor
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
    """Yield what is due, oldest first, held or not."""
    held = holds.every(connection)
    for series in known(connection):
        rule = is_due(rules, series, now_ms)
        if rule is not None:
            keys = (series.patient_key, series.study_key, series.series_key)
            by = next((each for each in held if each.covers(*keys)), None)
            yield Due(series, rule.keep_days, by)


def known(connection: sa.Connection, only: Series | None = None) -> list[Series]:
    """Return every series, or one of them as it is now, the one whose last image came first in front."""
    found = list(_of(connection, PHI, only)) if only is None or only.original else []
    if only is None or not only.original:
        found += _of(connection, DEID, only)
    return sorted(found, key=lambda series: (series.last_ms, series.row))


def _of(connection: sa.Connection, family: Family, only: Series | None) -> Iterator[Series]:
    series, instance = family.series.c, family.instance.c
    when = instance.received_ms if family.original else instance.published_ms
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
            sa.func.max(when).label("last_ms"),
            pending.label("pending"),
        )
        .select_from(family.series.join(family.instance, instance.series_row == series.id))
        .join(contributor, contributor.c.id == series.contributor_id)
        .group_by(series.id, contributor.c.facility)
    )
    if only is not None:
        query = query.where(series.id == only.row)
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
    for row in connection.execute(query):
        yield Series(original=family.original, **row._asdict())
