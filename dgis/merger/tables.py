"""What is known of merging: series with parts to merge, those that are being merged, and those that were.

Times are epoch milliseconds. A job with a record key is a durable intent: key and sources are drawn once, so
that every attempt makes the same record.
"""

import sqlalchemy as sa

from dgis.tables import metadata

merge_job = sa.Table(
    "merge_job",
    metadata,
    sa.Column("phi_series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False, index=True),  # not to be looked at before
    sa.Column("record_key", sa.Text, unique=True),  # of the record that is to be; none: nothing is chosen yet
    sa.Column("step", sa.Text, nullable=False),  # dgis.merger.values.Step
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("last_error", sa.Text),  # words, no PHI
)

# The parts that a chosen merge takes the place of; a part is in one merge only.
merge_source = sa.Table(
    "merge_source",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("phi_series_id", sa.BigInteger, nullable=False, index=True),
)

# Which part took the place of which. Rows stay: a node may come back with what was merged, and what departs
# from the new part has departed from the old ones.
merged_part = sa.Table(
    "merged_part",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("into_key", sa.Text, nullable=False, index=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
