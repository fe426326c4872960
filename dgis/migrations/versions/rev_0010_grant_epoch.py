"""A number that is drawn anew whenever a grant or a contributor changes."""

import sqlalchemy as sa
from alembic import op

from catalog.epoch import EPOCH_DDL

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grant_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_epoch")),
    )
    for statement in EPOCH_DDL[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for table in ("grants", "contributor"):
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_epoch ON {table}")
            op.execute(f"DROP TRIGGER {table}_truncate_epoch ON {table}")
        else:
            for change in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER {table}_{change}_epoch")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION draw_grant_epoch()")
        op.execute("DROP SEQUENCE grant_epoch_number")
    op.drop_table("grant_epoch")
