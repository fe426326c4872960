"""The tables of the catalog: two families of the same shape, who contributed, who may, and what happened.

`phi_*` holds originals, written when an instance is indexed; `deid_*` holds de-identified values, written
when its series is published. A row belongs to one *contributor* (the asserted facts under which it was sent),
so that sending an image with a known Patient ID opens nothing that others contributed.

Both families carry the same opaque keys (`patient_key`, `study_key`, `series_key`, `instance_key`: the keyed
pseudonyms), so one decision reads alike on either, and nothing in a grant names an original.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.dialects import postgresql

from catalog.attributes import STORED, Attribute, Kind
from catalog.callers import PATTERN_FIELDS, Right
from catalog.epoch import EPOCH_DDL
from catalog.query import Level

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Compared byte by byte on both engines: the order of UTF-8 is that of code points, and prefixes are ranges.
Exact = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where it says INTEGER

NAME_GROUPS = ("alphabetic", "ideographic", "phonetic")
"""The component groups of a person name (PS3.5 6.2.1.2), each in a column of its own for PatientName."""


def _id() -> Column[Any]:
    return Column("id", Id, primary_key=True)


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
        _id(),
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
        _id(),
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
        _id(),
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
        _id(),
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
    _id(),
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

conflict = Table(
    "conflict",
    metadata,
    _id(),
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

# A grant: who (conjunction of asserted facts) - what (conjunction of keys) - may - until when - by whom.
# Narrow columns imply the wider ones beside them: a series key stands with its study and patient key.
grants = Table(
    "grants",
    metadata,
    _id(),
    Column("who_key", Exact, nullable=False),  # catalog.callers.pattern_key of the facts below
    *(Column(f"who_{field}", Text) for field in PATTERN_FIELDS),
    Column("facility", Exact),
    Column("contributor_id", ForeignKey("contributor.id")),
    Column("patient_key", Exact),
    Column("study_key", Exact),
    Column("series_key", Exact),
    # A denial on a patient that covers whoever the patient is linked with, too.
    Column("linked", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
    *(
        Column(
            f"may_{right.value}",
            Boolean(create_constraint=False),
            nullable=False,
            server_default=text("false"),
        )
        for right in Right
    ),
    Column("allow", Boolean(create_constraint=False), nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin", Exact, unique=True),  # names what wrote it, so that it is written once
    CheckConstraint("study_key IS NULL OR patient_key IS NOT NULL", name="study_with_patient"),
    CheckConstraint("series_key IS NULL OR study_key IS NOT NULL", name="series_with_study"),
    Index(None, "who_key", "patient_key"),
    Index(None, "patient_key", "who_key"),
)

# Which patients are one person, as an operator said: the links in force; ended ones are in the trail alone.
patient_link = Table(
    "patient_link",
    metadata,
    _id(),
    Column("first_key", Exact, nullable=False),  # the lesser of the two patient keys
    Column("second_key", Exact, nullable=False, index=True),
    Column("linked_ms", BigInteger, nullable=False),
    Column("linked_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("first_key", "second_key"),
)

# What follows from the links: everybody of one person bears the least patient key among them.
linked_patient = Table(
    "linked_patient",
    metadata,
    Column("patient_key", Exact, primary_key=True),
    Column("person", Exact, nullable=False, index=True),
)

# One row: a number that is drawn anew whenever a grant or a contributor changes (catalog.holdings).
grant_epoch = Table(
    "grant_epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

_ddl: Callable[[str], DDL] = DDL  # SQLAlchemy has no types for it
grant_epoch.add_is_dependent_on(grants)
for _dialect, _statements in EPOCH_DDL.items():
    for _statement in _statements:
        event.listen(grant_epoch, "after_create", _ddl(_statement).execute_if(dialect=_dialect))

# The trail of what happened: a chain a writer (catalog.audit.chain). A PHI store itself.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("writer", Exact, nullable=False),  # the gateway and role that vouch for the row
    Column("number", BigInteger, nullable=False),  # in the writer's chain, from 1
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("event", Exact, nullable=False),
    Column("caller", Text, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("kept", Text, nullable=False),  # JSON: address, patients, detail
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("writer", "number"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("writer", Exact, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

# Signed heads (catalog.audit.seal), as they also lie on the nodes.
audit_seal = Table(
    "audit_seal",
    metadata,
    Column("writer", Exact, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

# Local accounts: names are of staff, not of patients; the passcode is kept as its argon2id hash alone.
account = Table(
    "account",
    metadata,
    Column("name", Exact, primary_key=True),
    Column("passcode_hash", Text, nullable=False),
    Column("assertions", Text, nullable=False),  # canonical JSON of catalog.callers.Assertions
    Column("may", Text, nullable=False),  # JSON list of rights: a ceiling
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failed_s", BigInteger, nullable=False, server_default="0"),
)

spent_credential = Table(
    "spent_credential",
    metadata,
    Column("issuer", Exact, primary_key=True),
    Column("once", Exact, primary_key=True),
    Column("until_ms", BigInteger, nullable=False, index=True),
)
