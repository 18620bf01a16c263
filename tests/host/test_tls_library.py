"""The TLS library of this very Python, asked as a daemon's would be."""

import re
import ssl
from pathlib import Path

import pytest

from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.host import tls_library as module
from mailwitness.host.tls_library import environment_of, tls_library


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> str:
    match = re.search(r"/\S*libssl\S*\.so\S*", Path("/proc/self/maps").read_text())
    if match is None:
        pytest.skip(f"{ssl.OPENSSL_VERSION} is linked into this Python")
    monkeypatch.setattr(module, "_loaded", lambda _: (match.group(), "this test"))
    return match.group()


def asked(text: str, level: int | None, environment: dict[str, str]) -> TlsLibrary:
    found = tls_library("dovecot", [(text, level)], environment)
    assert isinstance(found, TlsLibrary), found
    return found


def names(found: TlsLibrary, version: str) -> tuple[str, ...]:
    (ciphers,) = found.cipher_lists
    assert not isinstance(ciphers.suites, Missing)
    return next(each.names for each in ciphers.suites if each.version == version)


def test_a_list_is_read_as_the_library_reads_it(path: str) -> None:
    found = asked("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0", None, {})
    assert found.path == path
    assert set(names(found, "TLSv1.2")) >= {"ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"}
    assert "ECDHE-RSA-AES128-GCM-SHA256" not in names(found, "TLSv1")
    assert all(name.startswith("TLS_") for name in names(found, "TLSv1.3"))
    assert found.cipher_lists[0].security_level == 0
    (suite,) = (each for each in found.suites if each.name == "AES128-SHA")
    assert (suite.number, suite.key_exchange, suite.authentication) == (0x2F, "RSA", "RSA")


def test_the_system_s_configuration_is_told_from_what_is_built_in(
    path: str,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    file = tmp_path / "openssl.cnf"
    file.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
        "MinProtocol = TLSv1.2\nMaxProtocol = TLSv1.2\nProtocol = -TLSv1.1\n"
        "CipherString = DEFAULT:@SECLEVEL=1\n"
    )
    found = asked("HIGH", None, {"OPENSSL_CONF": str(file)})
    assert found.configuration.path == str(file)
    assert (found.built_in.minimum, found.built_in.maximum) == (None, None)
    assert (found.defaults.minimum, found.defaults.maximum) == ("TLSv1.2", "TLSv1.2")
    assert found.defaults.security_level == 1
    assert "TLSv1.1" in found.defaults.switched_off


def test_a_list_of_nothing_is_missing(path: str) -> None:  # noqa: ARG001
    (ciphers,) = asked("NO-SUCH-SUITE", None, {}).cipher_lists
    # Some versions of OpenSSL take the list and leave the suites of TLS 1.3.
    assert isinstance(ciphers.suites, Missing) or not any(
        name for each in ciphers.suites if each.version != "TLSv1.3" for name in each.names
    )


def test_what_is_no_tls_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_loaded", lambda _: ("/etc/passwd", "this test"))
    found = tls_library("dovecot", [("HIGH", None)], {})
    assert isinstance(found, Missing)
    assert "/etc/passwd could not be asked" in found.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TZ LANG=C", {}),
        ("TZ, OPENSSL_CONF=/etc/mail.cnf", {"OPENSSL_CONF": "/etc/mail.cnf"}),
        ("PASSWORD=secret", {}),
        ("OPENSSL_CONF=%{env:OPENSSL_CONF}", {}),
    ],
)
def test_no_more_of_the_environment_is_taken_than_the_library_reads(
    text: str, expected: dict[str, str]
) -> None:
    assert environment_of(text, None) == expected
