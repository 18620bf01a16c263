"""Up to which run each contact has been told what changed."""

import sqlalchemy as sa

from mailwitness.store.database import Database
from mailwitness.store.history import SavedRun
from mailwitness.store.tables import notices, runs


class Notices:
    """What has been told, in a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, controller: str) -> dict[str, int]:
        """The number of the controller's run, by contact.

        A run that was pruned since counts as never told.
        """
        query = sa.select(notices).join(runs).where(runs.c.controller == controller)
        with self._database.reading() as connection:
            return {row.contact: row.run for row in connection.execute(query)}

    def tell(self, contact: str, run: SavedRun) -> None:
        """The contact knows of all that the controller saw up to `run` now."""
        its = sa.select(runs.c.id).where(runs.c.controller == run.controller)
        past = sa.delete(notices).where(notices.c.contact == contact, notices.c.run.in_(its))
        with self._database.writing() as connection:
            connection.execute(past)
            connection.execute(sa.insert(notices).values(contact=contact, run=run.id))
