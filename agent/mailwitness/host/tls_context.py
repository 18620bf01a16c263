"""Asks a TLS library itself what its configuration and cipher lists mean; a process of its own.

OpenSSL's functions are called by ctypes: only the library that a daemon loads knows how it
reads a list, what openssl.cnf or crypto-policies impose on it, and what it was built without.
Whatever a library does here, crash included, it does to this process alone.
"""

import ctypes
import json
import sys
from collections.abc import Iterator
from typing import Any, Optional

# <openssl/ssl.h> and <openssl/conf.h>, the same from 1.1.0 to 3.5.
_SET_MINIMUM, _SET_MAXIMUM, _GET_MINIMUM, _GET_MAXIMUM = 123, 124, 130, 131
_NO_LOAD_CONFIG = 0x80
_IGNORE_MISSING_FILE, _DEFAULT_SECTION = 0x10, 0x20
# The version's number on the wire, and the option that switches it off.
_VERSIONS = {
    "SSLv3": (0x0300, 0x02000000),
    "TLSv1": (0x0301, 0x04000000),
    "TLSv1.1": (0x0302, 0x10000000),
    "TLSv1.2": (0x0303, 0x08000000),
    "TLSv1.3": (0x0304, 0x20000000),
}
_NAMES = {number: name for name, (number, _) in _VERSIONS.items()}

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int
_TEXT = ctypes.c_char_p
_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "CONF_modules_load_file": (_INT, (_TEXT, _TEXT, ctypes.c_ulong)),
    "OPENSSL_init_ssl": (_INT, (ctypes.c_uint64, _POINTER)),
    "OPENSSL_load_builtin_modules": (None, ()),
    "OPENSSL_sk_num": (_INT, (_POINTER,)),
    "OPENSSL_sk_value": (_POINTER, (_POINTER, _INT)),
    "OpenSSL_version": (_TEXT, (_INT,)),
    "SSL_CIPHER_description": (_TEXT, (_POINTER, _TEXT, _INT)),
    "SSL_CIPHER_get_id": (ctypes.c_uint32, (_POINTER,)),
    "SSL_CTX_ctrl": (ctypes.c_long, (_POINTER, _INT, ctypes.c_long, _POINTER)),
    "SSL_CTX_free": (None, (_POINTER,)),
    "SSL_CTX_get_options": (ctypes.c_uint64, (_POINTER,)),
    "SSL_CTX_get_security_level": (_INT, (_POINTER,)),
    "SSL_CTX_new": (_POINTER, (_POINTER,)),
    "SSL_CTX_set_cipher_list": (_INT, (_POINTER, _TEXT)),
    "SSL_CTX_set_security_level": (None, (_POINTER, _INT)),
    "SSL_free": (None, (_POINTER,)),
    "SSL_get1_supported_ciphers": (_POINTER, (_POINTER,)),
    "SSL_new": (_POINTER, (_POINTER,)),
    "TLS_server_method": (_POINTER, ()),
}
_OPENSSL_DIR = 4  # OpenSSL_version(3)


class _Library:
    """The functions of libssl; those of libcrypto come with it."""

    def __init__(self, path: str) -> None:
        loaded = ctypes.CDLL(path)
        self.functions: dict[str, Any] = {}
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
            self.functions[name] = function

    def __call__(self, name: str, *arguments: Any) -> Any:
        return self.functions[name](*arguments)

    def context(self) -> Any:
        return self("SSL_CTX_new", self("TLS_server_method"))

    def defaults(self) -> dict[str, Any]:
        context = self.context()
        options = self("SSL_CTX_get_options", context)
        bounds = [
            self("SSL_CTX_ctrl", context, ask, 0, None) for ask in (_GET_MINIMUM, _GET_MAXIMUM)
        ]
        return {
            "minimum": _NAMES.get(bounds[0]),
            "maximum": _NAMES.get(bounds[1]),
            "security_level": self("SSL_CTX_get_security_level", context),
            "switched_off": [name for name, (_, off) in _VERSIONS.items() if options & off],
        }

    def cipher_list(
        self, text: str, asked_level: Optional[int], suites: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        by_version: list[dict[str, Any]] = []
        level = -1
        for version, (number, _) in _VERSIONS.items():
            context = self.context()
            if asked_level is not None:
                self("SSL_CTX_set_security_level", context, asked_level)
            accepted = self("SSL_CTX_set_cipher_list", context, text.encode()) == 1
            level = self("SSL_CTX_get_security_level", context)
            if not accepted:
                missing = {"missing": "the library knows no cipher in this list"}
                return _answer(text, asked_level, level, missing)
            # Each bound is refused where it would cross the other.
            for ask in (_SET_MINIMUM, _SET_MAXIMUM):
                self("SSL_CTX_ctrl", context, ask, 0, None)
            for ask in (_SET_MINIMUM, _SET_MAXIMUM):
                self("SSL_CTX_ctrl", context, ask, number, None)
            found = list(self._supported(context))
            suites.update((suite["name"], suite) for suite in found)
            names = [suite["name"] for suite in found]
            by_version.append({"version": version, "names": names})
            self("SSL_CTX_free", context)
        return _answer(text, asked_level, level, by_version)

    def _supported(self, context: Any) -> Iterator[dict[str, Any]]:
        """What a connection of this context could use; none where its version is not possible."""
        connection = self("SSL_new", context)
        stack = self("SSL_get1_supported_ciphers", connection)
        for index in range(self("OPENSSL_sk_num", stack) if stack else 0):
            cipher = self("OPENSSL_sk_value", stack, index)
            buffer = ctypes.create_string_buffer(512)
            words = self("SSL_CIPHER_description", cipher, buffer, 512).decode("ascii").split()
            traits = dict(word.split("=", 1) for word in words[2:] if "=" in word)
            yield {
                "name": words[0],
                "number": self("SSL_CIPHER_get_id", cipher) & 0xFFFF,
                "key_exchange": traits.get("Kx", ""),
                "authentication": traits.get("Au", ""),
                "encryption": traits.get("Enc", ""),
                "mac": traits.get("Mac", ""),
            }
        self("SSL_free", connection)


def _answer(text: str, asked_level: Optional[int], level: int, suites: Any) -> dict[str, Any]:
    return {
        "text": text,
        "asked_level": asked_level,
        "security_level": level,
        "suites": suites,
    }


def answer(path: str, lists: list[tuple[str, Optional[int]]]) -> dict[str, Any]:
    """What the library at `path` says, in the shape of `TlsLibrary`'s fields of those names.

    Raises:
        OSError, AttributeError: it cannot be loaded, or is not OpenSSL 1.1.0 or newer.
    """
    library = _Library(path)
    library("OPENSSL_init_ssl", _NO_LOAD_CONFIG, None)
    built_in = library.defaults()
    library("OPENSSL_load_builtin_modules")
    library("CONF_modules_load_file", None, None, _IGNORE_MISSING_FILE | _DEFAULT_SECTION)
    suites: dict[str, dict[str, Any]] = {}
    cipher_lists = [library.cipher_list(text, level, suites) for text, level in lists]
    return {
        "version": library("OpenSSL_version", 0).decode("ascii", "replace"),
        "directory": library("OpenSSL_version", _OPENSSL_DIR).decode("utf-8", "replace"),
        "built_in": built_in,
        "defaults": library.defaults(),
        "suites": [suites[name] for name in sorted(suites)],
        "cipher_lists": cipher_lists,
    }


def main() -> None:
    """`argv`: the library's path, and a JSON list of [cipher list, security level or null]."""
    path, lists = sys.argv[1:3]
    json.dump(answer(path, json.loads(lists)), sys.stdout)
