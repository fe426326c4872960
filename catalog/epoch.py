"""The triggers behind `catalog.tables.grant_epoch`, as each database writes them.

SQLite draws at random, PostgreSQL from a sequence: both give numbers that a transaction which is rolled back
never gives to another.
"""

from typing import Final

_TABLES = ("grants", "contributor")
_CHANGES = ("insert", "update", "delete")

_FIRST = "INSERT INTO grant_epoch (id, number) VALUES (1, 0)"
_FUNCTION = """CREATE OR REPLACE FUNCTION draw_grant_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE grant_epoch SET number = nextval('grant_epoch_number');
    RETURN NULL;
END $$"""

EPOCH_DDL: Final[dict[str, tuple[str, ...]]] = {
    "sqlite": (
        _FIRST,
        *(
            f"CREATE TRIGGER {table}_{change}_epoch AFTER {change.upper()} ON {table} "  # noqa: S608 - no data
            "BEGIN UPDATE grant_epoch SET number = random(); END"
            for table in _TABLES
            for change in _CHANGES
        ),
    ),
    "postgresql": (
        _FIRST,
        "CREATE SEQUENCE grant_epoch_number",
        _FUNCTION,
        *(
            f"CREATE TRIGGER {table}_epoch AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION draw_grant_epoch()"
            for table in _TABLES
        ),
        *(
            f"CREATE TRIGGER {table}_truncate_epoch AFTER TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION draw_grant_epoch()"
            for table in _TABLES
        ),
    ),
}
"""Statements, by dialect, that are run once when the tables are there."""
