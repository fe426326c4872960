"""Erasures: whose key is destroyed, and which gateways have done their share."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNTS = ("studies", "series", "instances", "cached", "held", "grants")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_key", sa.Text(), nullable=False),
        sa.Column("key_name", sa.Text(), nullable=False),
        sa.Column("requested_ms", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("spread_ms", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("key_name", name=op.f("uq_erasure_key_name")),
    )
    with op.batch_alter_table("erasure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_erasure_patient_key"), ["patient_key"], unique=False)

    op.create_table(
        "erasure_gateway",
        sa.Column(
            "erasure_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("swept_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasure.id"], name=op.f("fk_erasure_gateway_erasure_id_erasure")
        ),
        sa.PrimaryKeyConstraint("erasure_id", "gateway_id", name=op.f("pk_erasure_gateway")),
    )
    with op.batch_alter_table("erasure_gateway", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_erasure_gateway_gateway_id_done_ms"), ["gateway_id", "done_ms"], unique=False
        )


def downgrade() -> None:
    op.drop_table("erasure_gateway")
    op.drop_table("erasure")
