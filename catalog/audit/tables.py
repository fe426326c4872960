"""What happened: the trail, the ends of its chains, and those that were signed."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text, UniqueConstraint

from catalog.schema import Exact, id_column, metadata

# The trail of what happened: a chain a writer (catalog.audit.chain). A PHI store itself.
audit = Table(
    "audit",
    metadata,
    id_column(),
    Column("writer", Exact, nullable=False),  # the gateway and role that vouch for the row
    Column("number", BigInteger, nullable=False),  # in the writer's chain, from 1
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("event", Exact, nullable=False),
    Column("caller", Text, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("kept", Text, nullable=False),  # JSON: address, patients, detail
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("writer", "number"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("writer", Exact, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

# Signed heads (catalog.audit.seal), as they also lie on the nodes.
audit_seal = Table(
    "audit_seal",
    metadata,
    Column("writer", Exact, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)
