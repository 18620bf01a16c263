"""What Alembic runs: the steps, on the connection that `database` hands over."""

from alembic import context

from mailwitness.store.tables import metadata

# The caller's transaction is the only one: a step is made whole or not at all, on SQLite too.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
