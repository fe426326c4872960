"""How far the trail has gone to the audit record repository, and which configuration a role has started with."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_sent",
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repository", "stream", name=op.f("pk_audit_sent")),
    )
    op.create_table(
        "audit_repository",
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("trouble_since_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("gateway_id", name=op.f("pk_audit_repository")),
    )
    op.create_table(
        "configuration_applied",
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_configuration_applied")),
    )


def downgrade() -> None:
    op.drop_table("configuration_applied")
    op.drop_table("audit_repository")
    op.drop_table("audit_sent")
