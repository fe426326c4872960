"""What all tables of the catalog share: one metadata, names of constraints, texts, row numbers."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Text
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Compared byte by byte on both engines: the order of UTF-8 is that of code points, and prefixes are ranges.
Exact = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where it says INTEGER


def id_column() -> Column[Any]:
    """Return a key that the database numbers by itself."""
    return Column("id", Id, primary_key=True)
