"""How far the trail has gone to the audit record repository: the trail itself is what waits."""

import sqlalchemy as sa

from dgis.tables import metadata

audit_sent = sa.Table(
    "audit_sent",
    metadata,
    sa.Column("repository", sa.Text, primary_key=True),  # its address: at another one all is sent anew
    sa.Column("stream", sa.Text, primary_key=True),  # "entries" or "heads", and the writer
    sa.Column("sent", sa.BigInteger, nullable=False),  # the last number that was handed over
    sa.Column("settled", sa.BigInteger, nullable=False),  # up to here nothing is sent again
)

audit_repository = sa.Table(
    "audit_repository",
    metadata,
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, nullable=False),
    sa.Column("sent_ms", sa.BigInteger),
    sa.Column("trouble", sa.Text),  # words; none while it takes what is sent
    sa.Column("trouble_since_ms", sa.BigInteger),
)

configuration_applied = sa.Table(
    "configuration_applied",
    metadata,
    sa.Column("writer", sa.Text, primary_key=True),  # a role of a gateway
    sa.Column("settings", sa.Text, nullable=False),  # JSON: setting to digest of its value, no secret in it
)
