"""Local accounts, and credentials that were used up."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_EXACT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", _EXACT, nullable=False),
        sa.Column("passcode_hash", sa.Text(), nullable=False),
        sa.Column("assertions", sa.Text(), nullable=False),
        sa.Column("may", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed_s", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    op.create_table(
        "spent_credential",
        sa.Column("issuer", _EXACT, nullable=False),
        sa.Column("once", _EXACT, nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "once", name=op.f("pk_spent_credential")),
    )
    op.create_index(op.f("ix_spent_credential_until_ms"), "spent_credential", ["until_ms"], unique=False)


def downgrade() -> None:
    op.drop_table("spent_credential")
    op.drop_table("account")
