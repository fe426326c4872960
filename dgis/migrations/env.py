"""Run by alembic: one history over the tables of catalog, replica and gateway."""

from alembic import context

from dgis.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=list(METADATA),
    render_as_batch=True,  # SQLite alters tables by copying them
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
