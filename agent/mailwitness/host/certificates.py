"""The certificate files that settings name: their public part, never a key."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import CertificateFile
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import since_1970
from mailwitness.host import files

_MAX_BYTES = 1024 * 1024  # a chain is a few kilobytes
_MAX_FILES = 1000  # a name for each of a provider's customers
# A file may hold the private key too (Postfix's chain files do): only these blocks are taken.
_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)


def certificate_files(
    paths: Iterable[str],
) -> Union[tuple[CertificateFile, ...], Missing]:
    """Each file once, sorted by its path."""
    different = sorted(set(paths))
    if len(different) > _MAX_FILES:
        return Missing(f"the settings name {len(different)} files, more than {_MAX_FILES}")
    return tuple(_certificate_file(Path(path)) for path in different)


def _certificate_file(path: Path) -> CertificateFile:
    found = files.read(path, _MAX_BYTES)
    if isinstance(found, Missing):
        unread = Missing(found.reason)
        return CertificateFile(str(path), unread, unread)
    return CertificateFile(
        path=str(path),
        modified_at=since_1970(found.modified_at),
        certificates=tuple(match.group() + "\n" for match in _BLOCK.finditer(found.text)),
    )
