"""Series of which destinations are to be told that they can be retrieved. Times are epoch milliseconds.

A row stands for a destination and a series, whatever came of the series since: what is told is all of it that
can be retrieved at that moment. No UID stands here.
"""

import sqlalchemy as sa

from dgis.tables import metadata

availability_notice = sa.Table(
    "availability_notice",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),  # AE title
    sa.Column("series_key", sa.Text, primary_key=True),  # pseudonym
    sa.Column("gateway_id", sa.Text, nullable=False),  # who published last
    sa.Column("version", sa.BigInteger, nullable=False),  # one more whenever a part of it is published
    sa.Column("first_ms", sa.BigInteger, nullable=False),  # when this version was
    sa.Column("due_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("last_error", sa.Text),  # words, no PHI
)
