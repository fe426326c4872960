"""The tables of the catalog, all of them: here two families of the same shape, and who contributed.

`phi_*` holds originals, written when an instance is indexed; `deid_*` holds de-identified values, written
when its series is published. A row belongs to one *contributor* (the asserted facts under which it was sent),
so that sending an image with a known Patient ID opens nothing that others contributed.

Both families carry the same opaque keys (`patient_key`, `study_key`, `series_key`, `instance_key`: the keyed
pseudonyms), so one decision reads alike on either, and nothing in a grant names an original.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from catalog.access_tables import (
    account,
    api_token,
    grant_epoch,
    grants,
    linked_patient,
    patient_link,
    share_token,
    spent_credential,
)
from catalog.attributes import STORED, Attribute, Kind
from catalog.audit.tables import audit, audit_head, audit_seal
from catalog.query import Level
from catalog.schema import Exact, id_column, metadata

__all__ = (
    "DEID",
    "FAMILIES",
    "NAME_GROUPS",
    "PHI",
    "Family",
    "account",
    "api_token",
    "audit",
    "audit_head",
    "audit_seal",
    "conflict",
    "contributor",
    "folded_columns",
    "grant_epoch",
    "grants",
    "linked_patient",
    "metadata",
    "patient_link",
    "share_token",
    "spent_credential",
)

NAME_GROUPS = ("alphabetic", "ideographic", "phonetic")
"""The component groups of a person name (PS3.5 6.2.1.2), each in a column of its own for PatientName."""


def _text(name: str) -> Column[Any]:
    return Column(name, Exact, nullable=False, server_default="")


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def folded_columns(attribute: Attribute) -> tuple[str, ...]:
    """Return the names of the columns beside the value that hold what a name is matched by.

    One column a component group for PatientName; for others one JSON list of folded groups.
    """
    if attribute.kind is not Kind.NAME:
        return ()
    if attribute.keyword == "PatientName":
        return tuple(f"patient_name_{group}" for group in NAME_GROUPS)
    return (f"{attribute.column}_folded",)


def _attribute_columns(level: Level) -> list[Column[Any]]:
    columns: list[Column[Any]] = []
    for attribute in STORED[level]:
        columns.append(Column(attribute.column, BigInteger) if attribute.number else _text(attribute.column))
        columns += [_text(name) for name in folded_columns(attribute)]
    return columns


@dataclass(frozen=True, slots=True)
class Family:
    """The four tables of one kind of rows, and the words of its patients' names."""

    original: bool
    patient: Table
    study: Table
    series: Table
    instance: Table
    name_word: Table

    def table(self, level: Level) -> Table:
        """Return the table whose rows are the entities of `level`."""
        return (self.patient, self.study, self.series, self.instance)[level.depth]


def _family(prefix: str, *, original: bool, instance_extra: tuple[Column[Any], ...]) -> Family:
    patient = Table(
        f"{prefix}_patient",
        metadata,
        id_column(),
        Column("contributor_id", ForeignKey("contributor.id"), nullable=False),
        _text("patient_key"),
        *_attribute_columns(Level.PATIENT),
        _count("study_count"),
        _count("series_count"),
        _count("instance_count"),
        UniqueConstraint("patient_key", "contributor_id"),
        Index(None, "patient_id"),
        Index(None, "patient_birth_date"),
        *(Index(None, f"patient_name_{group}") for group in NAME_GROUPS),
    )
    study = Table(
        f"{prefix}_study",
        metadata,
        id_column(),
        Column("patient_row", ForeignKey(patient.c.id), nullable=False, index=True),
        Column("contributor_id", ForeignKey("contributor.id"), nullable=False),
        _text("patient_key"),
        _text("study_key"),
        *_attribute_columns(Level.STUDY),
        _count("series_count"),
        _count("instance_count"),
        Column("modalities", Exact, nullable=False, server_default="[]"),
        Column("sop_classes", Exact, nullable=False, server_default="[]"),
        UniqueConstraint("study_key", "patient_key", "contributor_id"),
        Index(None, "study_instance_uid"),
        Index(None, "study_date"),
        Index(None, "accession_number"),
        Index(None, "study_id"),
    )
    series = Table(
        f"{prefix}_series",
        metadata,
        id_column(),
        Column("study_row", ForeignKey(study.c.id), nullable=False, index=True),
        Column("contributor_id", ForeignKey("contributor.id"), nullable=False),
        _text("patient_key"),
        _text("study_key"),
        _text("series_key"),
        *_attribute_columns(Level.SERIES),
        _count("instance_count"),
        Column("sop_classes", Exact, nullable=False, server_default="[]"),
        UniqueConstraint("series_key", "study_key", "patient_key", "contributor_id"),
        Index(None, "series_instance_uid"),
        Index(None, "study_key"),
        Index(None, "patient_key"),
        Index(None, "modality", "series_date"),
    )
    instance = Table(
        f"{prefix}_instance",
        metadata,
        id_column(),
        Column("series_row", ForeignKey(series.c.id), nullable=False, index=True),
        _text("instance_key"),
        *_attribute_columns(Level.IMAGE),
        _text("transfer_syntax"),
        Column("size_bytes", BigInteger, nullable=False),
        Column("record_key", Exact, index=True),
        Column("position", BigInteger),
        *instance_extra,
        # The one line that decides between gateways which bytes are the instance.
        UniqueConstraint("sop_instance_uid"),
    )
    name_word = Table(
        f"{prefix}_name_word",
        metadata,
        Column("word", Exact, primary_key=True),
        Column("patient_row", ForeignKey(patient.c.id), primary_key=True, index=True),
    )
    return Family(original, patient, study, series, instance, name_word)


contributor = Table(
    "contributor",
    metadata,
    id_column(),
    _text("facility"),
    Column("digest", Exact, nullable=False),  # SHA-256 of the canonical assertions, hexadecimal
    Column("assertions", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    UniqueConstraint("facility", "digest"),
)

PHI = _family(
    "phi",
    original=True,
    instance_extra=(
        Column("sha256", LargeBinary, nullable=False),
        Column("received_ms", BigInteger, nullable=False),
        Column("location", Text, nullable=False),  # opaque: where the gateway keeps the bytes
        Column("withheld_reason", Text),  # not null: sealed whole, does not exist for the uncleared
    ),
)
DEID = _family(
    "deid",
    original=False,
    instance_extra=(Column("published_ms", BigInteger, nullable=False),),
)
FAMILIES = (PHI, DEID)

Index(
    "ix_phi_instance_pending",
    PHI.instance.c.series_row,
    sqlite_where=PHI.instance.c.record_key.is_(None),
    postgresql_where=PHI.instance.c.record_key.is_(None),
)
Index(
    "ix_phi_instance_withheld",
    PHI.instance.c.series_row,
    sqlite_where=PHI.instance.c.withheld_reason.is_not(None),
    postgresql_where=PHI.instance.c.withheld_reason.is_not(None),
)
Index("ix_phi_instance_instance_key", PHI.instance.c.instance_key)

for _family_, _when in ((PHI, "received_ms"), (DEID, "published_ms")):
    # Rows come in the order of these times: a few pages of PostgreSQL say where the old ones lie.
    Index(
        f"ix_{_family_.instance.name}_{_when}",
        _family_.instance.c[_when],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    )

conflict = Table(
    "conflict",
    metadata,
    id_column(),
    _text("sop_instance_uid"),
    Column("sha256", LargeBinary, nullable=False),
    Column("contributor_id", ForeignKey("contributor.id"), nullable=False),
    _text("transfer_syntax"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("location", Text, nullable=False),
    Column("resolved_ms", BigInteger),
    Column("resolution", Text),
    UniqueConstraint("sop_instance_uid", "sha256"),
)
