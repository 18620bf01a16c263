"""The tables of the store as this version knows them; `migrations/` makes them."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# Compressed by zlib. Named by the SHA-256 of what it is uncompressed.
contents = Table(
    "contents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("bytes", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    # SHA-256 over the plan and the evidence: a run is saved once, however often that is asked for.
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("started_at", String(32), nullable=False),  # UTC, ISO 8601 with Z
    Column("saved_at", String(32), nullable=False),
    Column("controller", Text, nullable=False),  # who saved it, by the name it goes by
    Column("report", Text, nullable=False),  # report.json without its hosts
    Index("runs_by_start", "started_at"),
)

# One row for each host of a run, in the order of the report.
run_hosts = Table(
    "run_hosts",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("host", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("seconds", Float),  # of the agent on the host; NULL: it did not say
    # Failed findings by their severity.
    Column("critical", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    Column("medium", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("info", Integer, nullable=False),
    Column("not_assessed", Integer, nullable=False),
    # The host as report.json has it.
    Column("content", ForeignKey("contents.id"), nullable=False, index=True),
    Column("changing", LargeBinary, nullable=False),
    Index("run_hosts_by_host", "host"),
)

# The evidence folder of a run, file by file.
documents = Table(
    "documents",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("content", ForeignKey("contents.id"), nullable=False, index=True),
    Column("changing", LargeBinary, nullable=False),
)

# Up to which run of a controller a contact of its inventory has been told what changed.
notices = Table(
    "notices",
    metadata,
    Column("contact", Text, primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
)
