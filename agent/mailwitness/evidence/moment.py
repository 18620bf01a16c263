"""Moments as all documents write them: UTC, to the second, ISO 8601 with Z."""

from datetime import datetime, timezone
from typing import Union

from mailwitness.evidence.missing import Missing


def stamp(moment: datetime) -> str:
    """A moment of any time zone; one without a zone would be taken for local time."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def since_1970(seconds: float) -> Union[str, Missing]:
    """The moment so many seconds after 1970 began, as files and the kernel count."""
    try:
        return stamp(datetime.fromtimestamp(int(seconds), timezone.utc))
    except (OverflowError, ValueError, OSError):  # a file can bear a year beyond 9999
        return Missing(f"{int(seconds)} s after 1970 is no date")


def now() -> str:
    """This moment."""
    return stamp(datetime.now(timezone.utc))
