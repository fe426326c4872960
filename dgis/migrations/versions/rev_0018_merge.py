"""Small parts that are merged, and what took the place of which; where old instances lie, for retention."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_REPLACED = "superseded_by IS NOT NULL"


_TIMES = (("phi_instance", "received_ms"), ("deid_instance", "published_ms"))


def upgrade() -> None:
    for table, when in _TIMES:
        op.create_index(
            f"ix_{table}_{when}",
            table,
            [when],
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        )
    op.add_column("replica_object", sa.Column("superseded_by", sa.Text(), nullable=True))
    op.create_index(
        "ix_replica_object_superseded_by",
        "replica_object",
        ["superseded_by"],
        sqlite_where=sa.text(_REPLACED),
        postgresql_where=sa.text(_REPLACED),
    )
    op.create_table(
        "merge_job",
        sa.Column("phi_series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("phi_series_id", name=op.f("pk_merge_job")),
        sa.UniqueConstraint("record_key", name=op.f("uq_merge_job_record_key")),
    )
    with op.batch_alter_table("merge_job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merge_job_due_ms"), ["due_ms"], unique=False)
    op.create_table(
        "merge_source",
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("phi_series_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_key", name=op.f("pk_merge_source")),
    )
    with op.batch_alter_table("merge_source", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merge_source_phi_series_id"), ["phi_series_id"], unique=False)
    op.create_table(
        "merged_part",
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("into_key", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_key", name=op.f("pk_merged_part")),
    )
    with op.batch_alter_table("merged_part", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_merged_part_into_key"), ["into_key"], unique=False)
    # Series that were published in several parts before anybody merged them.
    op.execute(
        "INSERT INTO merge_job (phi_series_id, due_ms, step, attempts)"
        " SELECT phi_series_id, 0, 'waiting', 0 FROM publish_part WHERE state = 'published'"
        " GROUP BY phi_series_id HAVING count(*) > 1"
    )


def downgrade() -> None:
    for table, when in _TIMES:
        op.drop_index(f"ix_{table}_{when}", table)
    for table in ("merged_part", "merge_source", "merge_job"):
        op.drop_table(table)
    op.drop_index("ix_replica_object_superseded_by", "replica_object")
    op.drop_column("replica_object", "superseded_by")
