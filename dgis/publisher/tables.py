"""What the publisher keeps of its work: parts of series on their way, with lease and last error.

Times are epoch milliseconds. A part row is the durable intent: its record key is drawn once, so that every
attempt packs the same record.
"""

import sqlalchemy as sa

from dgis.tables import metadata

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

publish_part = sa.Table(
    "publish_part",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("gateway_id", sa.Text, nullable=False),  # whose cache holds the bytes
    sa.Column("phi_series_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("record_key", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),  # dgis.publisher.values.PartState
    sa.Column("instances", sa.BigInteger, nullable=False),
    sa.Column("raw_bytes", sa.BigInteger, nullable=False),
    sa.Column("withheld", sa.BigInteger, nullable=False, default=0),  # instances sealed whole
    sa.Column("stored_bytes", sa.BigInteger, nullable=False, default=0),  # record and companion, one copy
    sa.Column("removed", sa.Text, nullable=False, default="", server_default=""),  # words, one a line
    sa.Column("planned_ms", sa.BigInteger, nullable=False),
    sa.Column("published_ms", sa.BigInteger),
    sa.Column("not_before_ms", sa.BigInteger, nullable=False),  # a failed attempt rests until then
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("strikes", sa.Integer, nullable=False, default=0),  # attempts in a row that ended in packing
    sa.Column("step", sa.Text, nullable=False),  # dgis.publisher.values.Step
    sa.Column("last_error", sa.Text),  # words, no PHI
    sa.Index(None, "gateway_id", "state", "not_before_ms"),
)

# Which originals a planned part is made of, in the order of the companion; gone once the part is published.
publish_part_instance = sa.Table(
    "publish_part_instance",
    metadata,
    sa.Column("part_id", sa.ForeignKey(publish_part.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("phi_instance_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("phi_instance_id"),  # an original is in one part only
)
