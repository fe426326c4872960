"""Rules by facility and modality, what was decided about nodes, and dark objects."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_PARTIAL = (
    ("ix_replica_object_move_due", "move_due_ms", "move_due_ms IS NOT NULL"),
    ("ix_replica_object_unlabelled", "id", "facility IS NULL"),
)


def upgrade() -> None:
    for name, kind in (("facility", sa.Text()), ("modality", sa.Text()), ("move_due_ms", sa.BigInteger())):
        op.add_column("replica_object", sa.Column(name, kind, nullable=True))
    for name, column, where in _PARTIAL:
        condition = sa.text(where)
        op.create_index(name, "replica_object", [column], sqlite_where=condition, postgresql_where=condition)
    op.create_index("ix_replica_object_sha256", "replica_object", ["sha256"])
    op.create_table(
        "replica_node",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("survey_slice", sa.Integer(), server_default="0", nullable=False),
        sa.Column("surveyed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_replica_node")),
    )
    op.create_table(
        "replica_dark",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", "name", name=op.f("pk_replica_dark")),
    )
    op.create_index("ix_replica_dark_since_ms", "replica_dark", ["since_ms"])


def downgrade() -> None:
    op.drop_table("replica_dark")
    op.drop_table("replica_node")
    op.drop_index("ix_replica_object_sha256", table_name="replica_object")
    for name, _column, _where in _PARTIAL:
        op.drop_index(name, table_name="replica_object")
    for name in ("move_due_ms", "modality", "facility"):
        op.drop_column("replica_object", name)
