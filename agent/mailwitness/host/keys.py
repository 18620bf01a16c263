"""Private keys as far as they may be told of: whose they are, and whose certificate they fit.

A key is read by the TLS library alone and stays in this process.
"""

import pwd
import re
import ssl
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from mailwitness.evidence.host import KeyFile
from mailwitness.evidence.missing import Missing
from mailwitness.host import files

_MAX_BYTES = 1024 * 1024
_BEGIN_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_BEGIN_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----")
# What the library says of a key that is not the certificate's, of the same kind and of another.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key, as a setting names them; they may be one."""

    certificate: str
    key: str


def contents(path: str) -> frozenset[str]:
    """What PEM file this is: "key", "certificate", both, or neither that could be seen."""
    found = files.read(Path(path), _MAX_BYTES)
    if isinstance(found, Missing):
        return frozenset()
    kinds = {"key": _BEGIN_KEY, "certificate": _BEGIN_CERTIFICATE}
    return frozenset(kind for kind, begin in kinds.items() if begin.search(found.text))


def key_files(pairs: Iterable[Pair]) -> tuple[KeyFile, ...]:
    """Each pair once."""
    return tuple(_key_file(pair) for pair in dict.fromkeys(pairs))


def _key_file(pair: Pair) -> KeyFile:
    path = Path(pair.key)
    owner: Union[str, Missing]
    mode: Union[str, Missing]
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        missing = Missing(f"{path}: {getattr(error, 'strerror', error)}")
        return KeyFile(pair.key, pair.certificate, missing, missing, missing)
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    return KeyFile(pair.key, pair.certificate, owner, mode, _matches(pair))


def _matches(pair: Pair) -> Union[bool, Missing]:
    """Whether the library takes the key for that of the file's first certificate."""
    # Read here first: what the library opens by its name it would wait for, if it were a fifo.
    key, certificate = (files.read(Path(path), _MAX_BYTES) for path in (pair.key, pair.certificate))
    if isinstance(key, Missing):
        return Missing(key.reason)
    if isinstance(certificate, Missing):
        return Missing(certificate.reason)
    if len(_BEGIN_KEY.findall(key.text)) > 1:
        return Missing(f"{pair.key}: holds several keys, which are not told apart")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")  # a weak key is another question
        context.load_cert_chain(pair.certificate, pair.key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason in _MISMATCHES:
            return False
        return Missing(f"{pair.key} cannot be loaded (has it a passphrase?): {error}")
    except (OSError, ValueError) as error:
        return Missing(f"{pair.key}: {getattr(error, 'strerror', None) or error}")
    return True
