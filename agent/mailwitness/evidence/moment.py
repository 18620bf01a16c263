"""Moments as all documents write them: UTC, to the second, ISO 8601 with Z."""

from datetime import datetime, timezone


def stamp(moment: datetime) -> str:
    """A moment of any time zone; one without a zone would be taken for local time."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """This moment."""
    return stamp(datetime.now(timezone.utc))
