"""Links between patients, and denials that follow them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_EXACT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "patient_link",
        sa.Column("id", _ID, nullable=False),
        sa.Column("first_key", _EXACT, nullable=False),
        sa.Column("second_key", _EXACT, nullable=False),
        sa.Column("linked_ms", sa.BigInteger(), nullable=False),
        sa.Column("linked_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_link")),
        sa.UniqueConstraint("first_key", "second_key", name=op.f("uq_patient_link_first_key_second_key")),
    )
    op.create_index(op.f("ix_patient_link_second_key"), "patient_link", ["second_key"], unique=False)
    op.create_table(
        "linked_patient",
        sa.Column("patient_key", _EXACT, nullable=False),
        sa.Column("person", _EXACT, nullable=False),
        sa.PrimaryKeyConstraint("patient_key", name=op.f("pk_linked_patient")),
    )
    op.create_index(op.f("ix_linked_patient_person"), "linked_patient", ["person"], unique=False)
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("linked", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_column("linked")
    op.drop_table("linked_patient")
    op.drop_table("patient_link")
