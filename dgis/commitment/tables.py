"""Storage commitments that were asked for: transactions and their instances, until they are reported.

Times are epoch milliseconds. `commitment_instance` holds UIDs as the requestor named them, originals mostly:
its rows go when the transaction is over, and when a patient among them is erased.
"""

import sqlalchemy as sa

from dgis.tables import metadata

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=0, server_default="0")


commitment = sa.Table(
    "commitment",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("gateway_id", sa.Text, nullable=False),  # who took it
    sa.Column("requestor", sa.Text, nullable=False),  # digest of AE title and caller: whose UID it is
    sa.Column("transaction_uid", sa.Text, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),  # the report goes to the destination of this title
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("caller", sa.Text, nullable=False),  # JSON: name, assertions, ceiling
    sa.Column("state", sa.Text, nullable=False),  # dgis.commitment.values.State
    sa.Column("requested_ms", sa.BigInteger, nullable=False),
    sa.Column("judged_ms", sa.BigInteger),
    sa.Column("over_ms", sa.BigInteger),
    sa.Column("due_ms", sa.BigInteger, nullable=False),  # of the next look, or the next report
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),  # at the report
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger, nullable=False, default=0, server_default="0"),
    # The association that asked stands, and will be reported on: nobody opens another meanwhile.
    sa.Column("held_by", sa.Text, index=True),
    sa.Column("held_until_ms", sa.BigInteger, nullable=False, default=0, server_default="0"),
    _count("instances"),
    _count("committed"),
    _count("failed"),
    sa.Column("last_error", sa.Text),  # words, no PHI
    sa.UniqueConstraint("requestor", "transaction_uid"),
    sa.Index(None, "state", "due_ms"),
)

commitment_instance = sa.Table(
    "commitment_instance",
    metadata,
    sa.Column("commitment_id", sa.ForeignKey(commitment.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),  # in the order it was asked in
    sa.Column("sop_class_uid", sa.Text, nullable=False),
    sa.Column("sop_instance_uid", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),  # dgis.commitment.values.InstanceState
    sa.Column("reason", sa.Integer),  # Failure Reason (0008,1197)
    sa.Column("standing", sa.Text),  # dgis.commitment.values.Standing, as it was last seen
    sa.Column("instance_key", sa.Text),  # pseudonym; none where the requestor may not see an original
    sa.Column("settled_ms", sa.BigInteger),
)
