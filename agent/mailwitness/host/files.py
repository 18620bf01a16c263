"""The one way to read a file of the host: regular, of bounded size, and never waited for."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from mailwitness.evidence.missing import Missing


@dataclass(frozen=True)
class NotThere(Missing):
    """No such file: known, not merely unread."""


@dataclass(frozen=True)
class Content:
    """A file as it was when it was read. `modified_at`: seconds since 1970."""

    text: str
    modified_at: int


def read(path: Path, max_bytes: int) -> Union[Content, Missing]:
    """What the file holds, or why that is not known; bytes that are not UTF-8 come as escapes.

    A fifo would be waited for without end, and to open a device may do things: both are refused.
    """
    refused = Missing(f"{path}: no regular file of at most {max_bytes} bytes")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return refused
        # It may have become another file meanwhile.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return refused
            content = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        return NotThere(f"{path}: {error.strerror}")
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        return Missing(f"{path}: {getattr(error, 'strerror', error)}")
    if len(content) > max_bytes:
        return refused
    return Content(content.decode("utf-8", "backslashreplace"), int(status.st_mtime))
