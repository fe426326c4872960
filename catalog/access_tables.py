"""Who may: grants, links between patients, accounts and their tokens, and credentials that are used up."""

from collections.abc import Callable

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
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from catalog.callers import PATTERN_FIELDS, Right
from catalog.epoch import EPOCH_DDL
from catalog.schema import Exact, id_column, metadata

# A grant: who (conjunction of asserted facts) - what (conjunction of keys) - may - until when - by whom.
# Narrow columns imply the wider ones beside them: a series key stands with its study and patient key.
grants = Table(
    "grants",
    metadata,
    id_column(),
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
    id_column(),
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
    # The passcode was made by the gateway, and serves to choose another one alone.
    Column("one_time", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
)

# What scripts present for an account: of each token its SHA-256 alone (catalog.credentials.opaque).
api_token = Table(
    "api_token",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account", ForeignKey("account.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("may", Text, nullable=False),  # JSON list of rights: a ceiling beside that of the account
    Column("made_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
)

# What lets its bearer see one thing: of each token its SHA-256 (catalog.credentials.shares).
# What its bearer may is in `grants`, under the origin `share:ID`.
share_token = Table(
    "share_token",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("may", Text, nullable=False),  # JSON list of rights: a ceiling
    Column("maker", Exact, nullable=False, index=True),  # who may take it back: principal and issuer
    Column("made_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
)

spent_credential = Table(
    "spent_credential",
    metadata,
    Column("issuer", Exact, primary_key=True),
    Column("once", Exact, primary_key=True),
    Column("until_ms", BigInteger, nullable=False, index=True),
)
