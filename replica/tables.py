"""The replica index: which objects there are, and where each has copies.

Times are epoch milliseconds, sizes bytes. `record_key` is the joint with the catalog, opaque here.
"""

from typing import Any

import sqlalchemy as sa

from replica.values import CopyState

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column declared INTEGER.
_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

replica_object = sa.Table(
    "replica_object",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),  # the same on every node
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # storage_nodes.addresses.Kind
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("layout", sa.JSON(none_as_null=True)),  # how a reader opens it with one read; opaque here
    # What rules look at (replica.rules.Labels); none: not known, as in rows of an older gateway.
    sa.Column("facility", sa.Text),
    sa.Column("modality", sa.Text),
    # The life of an object: intended -> committed -> superseded -> removing -> gone. See replica/intent.py.
    sa.Column(
        "intent", sa.Text, nullable=False
    ),  # token of the latest attempt to put it: only that one commits
    sa.Column("intended_ms", sa.BigInteger, nullable=False),
    sa.Column("committed_ms", sa.BigInteger),
    sa.Column("superseded_ms", sa.BigInteger),
    sa.Column("superseded_by", sa.Text),  # record key of what took its place; none: nothing did, it is to go
    sa.Column(
        "removing_ms", sa.BigInteger
    ),  # set before the first copy is deleted; from then on nobody commits
    # Work on the object, by one worker at a time.
    sa.Column("fill_due_ms", sa.BigInteger),  # none: it has its copies
    sa.Column("move_due_ms", sa.BigInteger),  # none: they lie where they belong
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until_ms", sa.BigInteger, nullable=False, default=0, server_default="0"),
)


def _partial(
    name: str, where: sa.ColumnElement[bool], *columns: sa.Column[Any], unique: bool = False
) -> sa.Index:
    """Return an index over some rows only, spelt for both databases."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_object = replica_object.c
_is_live = _object.committed_ms.is_not(None) & _object.superseded_ms.is_(None)

# One live object a key and kind: two publishers of one part cannot both commit, the database decides.
_partial("uq_replica_object_live", _is_live, _object.record_key, _object.kind, unique=True)
_partial("ix_replica_object_fill_due", _object.fill_due_ms.is_not(None), _object.fill_due_ms)
_partial("ix_replica_object_move_due", _object.move_due_ms.is_not(None), _object.move_due_ms)
_partial("ix_replica_object_unlabelled", _object.facility.is_(None), _object.id)
_partial("ix_replica_object_intended", _object.committed_ms.is_(None), _object.intended_ms)
_partial("ix_replica_object_superseded", _object.superseded_ms.is_not(None), _object.superseded_ms)
_partial("ix_replica_object_superseded_by", _object.superseded_by.is_not(None), _object.superseded_by)
_partial("ix_replica_object_removing", _object.removing_ms.is_not(None), _object.removing_ms)
sa.Index("ix_replica_object_record_key", _object.record_key)
sa.Index("ix_replica_object_sha256", _object.sha256)  # the survey goes by it

replica_copy = sa.Table(
    "replica_copy",
    metadata,
    sa.Column("object_id", sa.ForeignKey("replica_object.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("node", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # replica.values.CopyState
    sa.Column("verified_ms", sa.BigInteger),  # when its bytes were last known to be right
    sa.Column(
        "due_ms", sa.BigInteger, nullable=False, default=0, server_default="0"
    ),  # not to be tried before
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("last_error", sa.Text),  # words
)

_copy = replica_copy.c
_AVAILABLE = sa.literal_column(f"'{CopyState.AVAILABLE.value}'", sa.Text)
sa.Index("ix_replica_copy_node_state", _copy.node, _copy.state)
_partial("ix_replica_copy_unsettled", _copy.state != _AVAILABLE, _copy.state, _copy.due_ms)
_partial("ix_replica_copy_verified", _copy.state == _AVAILABLE, _copy.verified_ms)

# Nodes of which something is to be remembered; one that is configured and has no row is new.
replica_node = sa.Table(
    "replica_node",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # replica.values.NodeState
    sa.Column("since_ms", sa.BigInteger, nullable=False),
    sa.Column("used_bytes", sa.BigInteger, nullable=False, default=0, server_default="0"),  # by the index
    sa.Column("survey_slice", sa.Integer, nullable=False, default=0, server_default="0"),  # to look at next
    sa.Column("surveyed_ms", sa.BigInteger),  # when a survey last came to its end
)

# Objects that lie on a node without a row of replica_copy ("dark", as Rucio says), in quarantine.
replica_dark = sa.Table(
    "replica_dark",
    metadata,
    sa.Column("node", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
)
sa.Index("ix_replica_dark_since_ms", replica_dark.c.since_ms)


def in_state(state: CopyState) -> sa.ColumnElement[bool]:
    """Return the condition that a copy is in a state, in the words of the partial indexes above.

    Literals, not parameters: a database chooses a partial index by what the statement says, not by what it is
    given. Few copies are anything but AVAILABLE, and workers look for those.
    """
    if state is CopyState.AVAILABLE:
        return _copy.state == _AVAILABLE
    return (_copy.state == state) & (_copy.state != _AVAILABLE)
