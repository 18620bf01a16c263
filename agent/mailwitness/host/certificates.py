"""The certificate files that settings name: their public part, never a key."""

import datetime
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from mailwitness.evidence.host import CertificateFile
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp

_MAX_BYTES = 1024 * 1024  # a chain is a few kilobytes
# A file may hold the private key too (Postfix's chain files do): only these blocks are taken.
_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)


def certificate_files(paths: Iterable[str]) -> tuple[CertificateFile, ...]:
    """Each file once, sorted by its path."""
    return tuple(_certificate_file(Path(path)) for path in sorted(set(paths)))


def _certificate_file(path: Path) -> CertificateFile:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            missing = Missing(f"{path}: no regular file of at most {_MAX_BYTES} bytes")
            return CertificateFile(str(path), missing, missing)
        text = path.read_text("ascii", "replace")
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        missing = Missing(f"{path}: {getattr(error, 'strerror', error)}")
        return CertificateFile(str(path), missing, missing)
    modified = datetime.datetime.fromtimestamp(int(status.st_mtime), datetime.timezone.utc)
    return CertificateFile(
        path=str(path),
        modified_at=stamp(modified),
        certificates=tuple(match.group() + "\n" for match in _BLOCK.finditer(text)),
    )
