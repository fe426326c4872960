"""Sessions of browsers, tokens of accounts and of shares, passcodes for one login."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _exact() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "account", sa.Column("one_time", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "api_token",
        sa.Column("id", _exact(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", _exact(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("may", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.name"], name=op.f("fk_api_token_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_token_digest")),
    )
    op.create_index(op.f("ix_api_token_account"), "api_token", ["account"], unique=False)
    op.create_index(op.f("ix_api_token_until_ms"), "api_token", ["until_ms"], unique=False)
    op.create_table(
        "share_token",
        sa.Column("id", _exact(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("may", sa.Text(), nullable=False),
        sa.Column("maker", _exact(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_share_token_digest")),
    )
    op.create_index(op.f("ix_share_token_maker"), "share_token", ["maker"], unique=False)
    op.create_index(op.f("ix_share_token_until_ms"), "share_token", ["until_ms"], unique=False)
    op.create_table(
        "web_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", _exact(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("renewing_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
    )
    op.create_index(op.f("ix_web_session_owner"), "web_session", ["owner"], unique=False)
    op.create_index(op.f("ix_web_session_until_ms"), "web_session", ["until_ms"], unique=False)


def downgrade() -> None:
    op.drop_table("web_session")
    op.drop_table("share_token")
    op.drop_table("api_token")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_column("one_time")
