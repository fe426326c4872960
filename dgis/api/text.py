"""What text from outside may hold: PostgreSQL takes no NUL, and no line of ours is broken by others."""

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
