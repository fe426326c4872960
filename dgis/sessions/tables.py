"""Where sessions of browsers are kept, for every web door on the database."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from catalog.schema import Exact
from dgis.tables import metadata

# A row is found by the SHA-256 of the secret in the cookie, and opened with a key made from that secret: who
# has the database has neither a cookie nor a provider's token.
web_session = Table(
    "web_session",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),  # dgis.sessions.values.SessionKind
    Column("owner", Exact, nullable=False, index=True),  # issuer and user: what ends together
    Column("sealed", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),  # to within a minute
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("renewing_ms", BigInteger, nullable=False, server_default="0"),  # when a renewal began, or 0
)
