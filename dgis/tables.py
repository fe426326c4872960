"""The gateway's own tables: what lies in the cache, and what waits to be published.

Times are epoch milliseconds, lengths and offsets bytes. `phi_instance_id` and `phi_series_id` are the
catalog's row ids, joints without a foreign key: the catalog is another package.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column declared INTEGER.
_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

cache_segment = sa.Table(
    "cache_segment",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("gateway_id", sa.Text, nullable=False, index=True),
    sa.Column("epoch", sa.LargeBinary(16), nullable=False),  # of the file's life these rows speak of
    sa.Column("indexed_to", sa.BigInteger, nullable=False),  # everything below has its row, or is nobody's
)

_extent = (
    ("gateway_id", sa.Text),  # whose disk
    ("segment_id", sa.Text),
    ("position", sa.BigInteger),  # of the entry's first byte
    ("span", sa.BigInteger),  # bytes the entry takes, whole blocks
    ("data_offset", sa.BigInteger),  # of the data set, from `position`
    ("length", sa.BigInteger),  # of the data set
    ("epoch", sa.LargeBinary(16)),
    ("sha256", sa.LargeBinary(32)),  # of the data set
)


def _extent_columns() -> list[sa.Column[object]]:
    return [sa.Column(name, kind, nullable=False) for name, kind in _extent]


cache_instance = sa.Table(
    "cache_instance",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    *_extent_columns(),
    sa.Column("phi_instance_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("phi_series_id", sa.BigInteger, nullable=False),
    sa.Column("sop_instance_uid", sa.Text, nullable=False, index=True),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.Column("published", sa.Boolean, nullable=False, default=False),  # only then may it be evicted
    sa.UniqueConstraint("gateway_id", "phi_instance_id"),
    sa.Index(None, "segment_id", "position"),
    sa.Index(None, "phi_series_id", "gateway_id"),
)

cache_series = sa.Table(
    "cache_series",
    metadata,
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("phi_series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_used_ms", sa.BigInteger, nullable=False),
    sa.Column("published_bytes", sa.BigInteger, nullable=False),  # what eviction of the series would free
    sa.Index(None, "gateway_id", "last_used_ms"),
)

cache_conflict = sa.Table(
    "cache_conflict",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    *_extent_columns(),
    sa.Column("kind", sa.Text, nullable=False),  # dgis.cache.conflicts.Kind
    sa.Column("phi_instance_id", sa.BigInteger),  # the instance it disputes; none where it could not be read
    sa.Column("sop_instance_uid", sa.Text, nullable=False),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("peer_address", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),  # words, no PHI
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.Column("resolved_ms", sa.BigInteger),
    sa.UniqueConstraint("gateway_id", "sop_instance_uid", "sha256", "kind"),
    sa.Index(None, "segment_id", "position"),
)

publish_job = sa.Table(
    "publish_job",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("gateway_id", sa.Text, nullable=False),  # whose cache holds the bytes
    sa.Column("phi_series_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # dgis.cache.publish_queue.State
    sa.Column("pending_instances", sa.BigInteger, nullable=False),  # indexed, not yet in a published part
    sa.Column("first_received_ms", sa.BigInteger, nullable=False),
    sa.Column("last_received_ms", sa.BigInteger, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("released_ms", sa.BigInteger),  # a sender of several of its instances released the association
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("step", sa.Text),
    sa.Column("last_error", sa.Text),  # words, no PHI
    sa.UniqueConstraint("phi_series_id", "gateway_id"),  # a worker publishes what lies on its own disk
    sa.Index(None, "state", "due_ms"),
)

gateway = sa.Table(
    "gateway",
    metadata,
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),  # when its worker last said that it lives
    sa.Column("started_ms", sa.BigInteger, nullable=False),
)

schema_floor = sa.Table(
    "schema_floor",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # one row
    sa.Column("revision", sa.Text, nullable=False),  # the oldest whose code this schema still serves
)
