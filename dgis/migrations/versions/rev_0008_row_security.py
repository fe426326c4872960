"""Row-level security on the rows of originals: PostgreSQL's own second line behind the decision.

`dgis.originals` says for whom a transaction reads: `all` is the gateway itself, which alone writes; a caller's
transaction (`catalog.second_line`) sees at most what wide grants of `phi` open to it, and patients of whom
a narrower one gives it `phi`. Without the settings nothing is there, for the owner of the tables either.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ITSELF = "(SELECT current_setting('dgis.originals', true)) = 'all'"


def _given(name: str, kind: str, absent: str) -> str:
    return f"(SELECT coalesce(nullif(current_setting('dgis.{name}', true), ''), '{absent}'))::{kind}"


_GRANTED = f"""
contributor_id = ANY ({_given("contributors", "bigint[]", "{}")})
OR patient_key IN (
    SELECT g.patient_key FROM grants g
    WHERE g.who_key = ANY ({_given("patterns", "text[]", "{}")})
    AND g.patient_key IS NOT NULL AND g.allow AND g.may_phi
    AND g.not_before_ms <= {_given("now_ms", "bigint", "0")}
    AND g.not_after_ms > {_given("now_ms", "bigint", "0")}
)
"""  # noqa: S608 (constants)
_VISIBLE = {
    "phi_patient": _GRANTED,
    "phi_study": _GRANTED,
    "phi_series": _GRANTED,
    "phi_instance": "EXISTS (SELECT FROM phi_series s WHERE s.id = phi_instance.series_row)",
    "phi_name_word": "EXISTS (SELECT FROM phi_patient p WHERE p.id = phi_name_word.patient_row)",
}


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for table, visible in _VISIBLE.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY gateway ON {table} FOR ALL USING ({_ITSELF}) WITH CHECK ({_ITSELF})")
        op.execute(f"CREATE POLICY callers ON {table} FOR SELECT USING ({visible})")


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for table in _VISIBLE:
        op.execute(f"DROP POLICY callers ON {table}")
        op.execute(f"DROP POLICY gateway ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
