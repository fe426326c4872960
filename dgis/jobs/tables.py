"""Work that callers asked the grid to do. Times are epoch milliseconds.

No UID stands here, and no name but the caller's: a study is known by its keys, so that a row tells nothing
that an erasure would have to find.
"""

import sqlalchemy as sa

from dgis.tables import metadata

job = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # random: it is in URLs
    sa.Column("gateway_id", sa.Text, nullable=False),  # who was asked, and does it
    sa.Column("kind", sa.Text, nullable=False),  # dgis.jobs.values.Kind
    sa.Column("state", sa.Text, nullable=False),  # dgis.jobs.values.State
    sa.Column("caller", sa.Text, nullable=False),  # whose right it is done by: JSON
    sa.Column("owner", sa.Text, nullable=False, index=True),  # the caller's name and assertions, digested
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),  # AE title
    sa.Column("patient_key", sa.Text, nullable=False),
    sa.Column("study_key", sa.Text, nullable=False),
    sa.Column("series_key", sa.Text),  # none: the whole study
    sa.Column("original", sa.Boolean, nullable=False),  # originals were named, or the de-identified form
    sa.Column("total", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("completed", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("warning", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("failed", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("cancelled", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("version", sa.BigInteger, nullable=False, default=1, server_default="1"),  # one more a change
    sa.Column("asked_ms", sa.BigInteger, nullable=False),
    sa.Column("started_ms", sa.BigInteger),
    sa.Column("ended_ms", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("last_error", sa.Text),  # words, no PHI
    sa.Index(None, "gateway_id", "state", "asked_ms"),
)
