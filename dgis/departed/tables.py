"""What lies on nodes and must never be shown again, so that no database made anew from them brings it back.

Times are epoch milliseconds; keys are pseudonyms. A row stays for ever: a node may come back with what it
names.
"""

import sqlalchemy as sa

from dgis.tables import metadata

departed = sa.Table(
    "departed",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("instance_key", sa.Text, primary_key=True),  # "": the whole part
    sa.Column("why", sa.Text, primary_key=True),  # dgis.departed.values.Why
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("spread_ms", sa.BigInteger, index=True),  # every node has been told
    sa.Index(None, "instance_key", "why"),
)
