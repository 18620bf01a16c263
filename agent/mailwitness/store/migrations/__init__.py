"""Alembic's steps from each schema of the store to the next."""
