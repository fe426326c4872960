"""What departed from the nodes for ever, and how far a rebuild is."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "departed",
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("instance_key", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("spread_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("record_key", "instance_key", "why", name=op.f("pk_departed")),
    )
    with op.batch_alter_table("departed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_departed_spread_ms"), ["spread_ms"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_departed_instance_key_why"), ["instance_key", "why"], unique=False
        )
    op.create_table(
        "rebuild_run",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rebuild_run")),
    )
    op.create_table(
        "rebuild_part",
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("planned_ms", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("forms", sa.BigInteger(), nullable=False),
        sa.Column("originals", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("record_key", name=op.f("pk_rebuild_part")),
    )
    with op.batch_alter_table("rebuild_part", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_rebuild_part_done_planned_ms_record_key"),
            ["done", "planned_ms", "record_key"],
            unique=False,
        )


def downgrade() -> None:
    for table in ("rebuild_part", "rebuild_run", "departed"):
        op.drop_table(table)
