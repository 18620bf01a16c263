"""The first schema: runs, their hosts, their evidence, and the contents that these share."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "contents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("saved_at", sa.String(32), nullable=False),
        sa.Column("controller", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_index("runs_by_start", "runs", ["started_at"])
    op.create_table(
        "run_hosts",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("critical", sa.Integer, nullable=False),
        sa.Column("high", sa.Integer, nullable=False),
        sa.Column("medium", sa.Integer, nullable=False),
        sa.Column("low", sa.Integer, nullable=False),
        sa.Column("info", sa.Integer, nullable=False),
        sa.Column("not_assessed", sa.Integer, nullable=False),
        sa.Column("content", sa.Integer, sa.ForeignKey("contents.id"), nullable=False),
        sa.Column("changing", sa.LargeBinary, nullable=False),
    )
    op.create_index("run_hosts_by_host", "run_hosts", ["host"])
    op.create_index("ix_run_hosts_content", "run_hosts", ["content"])
    op.create_table(
        "documents",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("content", sa.Integer, sa.ForeignKey("contents.id"), nullable=False),
        sa.Column("changing", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_documents_content", "documents", ["content"])
