"""What the options removed from the instances of a part, in words."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("publish_part", schema=None) as batch_op:
        batch_op.add_column(sa.Column("removed", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("publish_part", schema=None) as batch_op:
        batch_op.drop_column("removed")
