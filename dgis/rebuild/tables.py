"""How far a rebuild is: its run, and each part that was found on the nodes.

Rows of a run that ended stay until the next one begins: they say what was made of each part.
"""

import sqlalchemy as sa

from dgis.tables import metadata

rebuild_run = sa.Table(
    "rebuild_run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1: there is one at a time
    sa.Column("began_ms", sa.BigInteger, nullable=False),
    sa.Column("finished_ms", sa.BigInteger),
)

rebuild_part = sa.Table(
    "rebuild_part",
    metadata,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("planned_ms", sa.BigInteger, nullable=False),  # parts are taken in the order they were made
    sa.Column("done", sa.Boolean, nullable=False, default=False),
    sa.Column("forms", sa.BigInteger, nullable=False, default=0),  # rows made: de-identified
    sa.Column("originals", sa.BigInteger, nullable=False, default=0),  # and of originals
    sa.Column("trouble", sa.Text),  # dgis.rebuild.values.Trouble: what is missing, if anything
    sa.Index(None, "done", "planned_ms", "record_key"),
)
