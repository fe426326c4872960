"""What the gateway keeps of erasures: whose key is destroyed, and which gateways have done their share.

No original stands here. Times are epoch milliseconds. A row stays for ever: what was received of the patient
until `requested_ms` goes, whenever and from wherever it turns up again.
"""

import sqlalchemy as sa

from dgis.tables import metadata

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=0, server_default="0")


erasure = sa.Table(
    "erasure",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("patient_key", sa.Text, nullable=False, index=True),  # pseudonym
    sa.Column("key_name", sa.Text, nullable=False, unique=True),  # the generation that is destroyed
    sa.Column("requested_ms", sa.BigInteger, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),  # words: who asked, or where it was found
    sa.Column("spread_ms", sa.BigInteger),  # every key store has the tombstone
    _count("studies"),
    _count("series"),
    _count("instances"),
    _count("cached"),  # originals in the caches of all gateways
    _count("held"),  # bytes that were held apart
    _count("grants"),
)

# One row for each gateway that has looked: a gateway without one has it all before it.
erasure_gateway = sa.Table(
    "erasure_gateway",
    metadata,
    sa.Column("erasure_id", sa.ForeignKey(erasure.c.id), primary_key=True, autoincrement=False),
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("swept_ms", sa.BigInteger),  # segments made until then may be over blocks of old ones
    sa.Column("done_ms", sa.BigInteger),
    sa.Index(None, "gateway_id", "done_ms"),
)
