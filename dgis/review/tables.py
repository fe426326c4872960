"""What reviewers decided about pixels, and what came of it: rows are added, never changed or taken out.

Times are epoch milliseconds. The keys are pseudonyms, `phi_instance_id` and `location` the catalog's words
for one received original; nothing here tells who the patient is. Each decision carries a digest over itself
and the digest before it (dgis.review.chain), so a row that was altered or is gone shows.
"""

import sqlalchemy as sa

from dgis.tables import metadata

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

review_decision = sa.Table(
    "review_decision",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("phi_instance_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("location", sa.Text, nullable=False),  # of the original: a row id may be used again
    sa.Column("series_key", sa.Text, nullable=False),
    sa.Column("instance_key", sa.Text, nullable=False),
    sa.Column("choice", sa.Text, nullable=False),  # dgis.review.values.Choice
    sa.Column("rectangles", sa.Text, nullable=False),  # X,Y,WIDTHxHEIGHT, spaces between
    sa.Column("frames", sa.Text, nullable=False),  # 1-10,12; empty: all
    sa.Column("said_by", sa.Text, nullable=False),  # as it was said, nobody checks it
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("previous_id", sa.BigInteger, nullable=False),  # decision on the instance before; 0: none
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.UniqueConstraint("instance_key", "previous_id"),  # of two at once one is the second
)

# What the publisher made of a decision to publish; none yet: it is on its way.
review_outcome = sa.Table(
    "review_outcome",
    metadata,
    sa.Column("decision_id", sa.ForeignKey(review_decision.c.id), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("record_key", sa.Text),  # where the published form lies
    sa.Column("refused", sa.Text),  # why there is none, in words without PHI
)
