"""Up to which run each contact has been told what changed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nobody has been told anything yet."""
    op.create_table(
        "notices",
        sa.Column("contact", sa.Text, primary_key=True),
        sa.Column(
            "run", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
        ),
    )
