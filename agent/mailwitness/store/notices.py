"""Up to which run each contact has been told what changed."""

import sqlalchemy as sa

from mailwitness.store.database import Database
from mailwitness.store.tables import notices


class Notices:
    """What has been told, in a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self) -> dict[str, int]:
        """The number of the run, by contact; a run that was pruned since counts as never told."""
        with self._database.reading() as connection:
            return {row.contact: row.run for row in connection.execute(sa.select(notices))}

    def tell(self, contact: str, run: int) -> None:
        """The contact knows of all up to `run` now."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(notices).where(notices.c.contact == contact))
            connection.execute(sa.insert(notices).values(contact=contact, run=run))
