"""Legal holds: what is not deleted, whatever the rules of retention say. Keys are pseudonyms."""

import sqlalchemy as sa

from dgis.tables import metadata

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

hold = sa.Table(
    "hold",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("patient_key", sa.Text, nullable=False, index=True),
    sa.Column("study_key", sa.Text),  # none: all of the patient
    sa.Column("series_key", sa.Text),  # none: all of the study
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("held_by", sa.Text, nullable=False),  # as it was said
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
