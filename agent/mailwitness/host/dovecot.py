"""Dovecot, as doveconf(1) gives it: the login listeners, and the settings of each protocol."""

import re
from collections.abc import Iterator
from typing import Union

from mailwitness.evidence.host import Dovecot, DovecotListener
from mailwitness.evidence.missing import Missing
from mailwitness.host import command

# The settings that bear on TLS, login and who may connect, under all the names that they have
# had from 2.2 to 2.4; doveconf passes over those of other versions. The list is what keeps
# secrets in: nothing else of the configuration leaves the host.
SETTINGS = (
    "auth_allow_cleartext",
    "auth_mechanisms",
    "disable_plaintext_auth",
    "haproxy_trusted_networks",
    "listen",
    "login_trusted_networks",
    "ssl",
    "ssl_alt_cert",
    "ssl_cert",
    "ssl_cipher_list",
    "ssl_cipher_suites",
    "ssl_curve_list",
    "ssl_min_protocol",
    "ssl_options",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_request_client_cert",
    "ssl_server_alt_cert_file",
    "ssl_server_cert_file",
    "ssl_server_prefer_ciphers",
    "ssl_server_request_client_cert",
    "ssl_verify_client_cert",
)
# From 2.4 on doveconf gives these under a named filter alone, and under their full names nothing.
FILTERED_SETTINGS = tuple(
    name.replace("ssl_server_", "ssl_server/")
    for name in SETTINGS
    if name.startswith("ssl_server_")
)
_SERVICES = ("imap-login", "pop3-login", "submission-login")
_CERTIFICATES = ("ssl_cert", "ssl_alt_cert", "ssl_server_cert_file", "ssl_server_alt_cert_file")
# A header may hold a brace of its own: unix_listener "srv.imap-login/%{pid}" {
_BLOCK = re.compile(r"(?P<name>(?!\S+ =)\S.*?)\s*\{")


def dovecot() -> Union[Dovecot, Missing, None]:
    """None: not installed."""
    services = command.run(("doveconf", *(f"service/{name}" for name in _SERVICES)))
    if isinstance(services, command.NotInstalled):
        return None
    changed = command.run(("doveconf", "-n"))
    for answer in (services, changed):
        if isinstance(answer, Missing):
            return answer
    assert isinstance(services, str)
    assert isinstance(changed, str)
    protocols = _protocols()
    if isinstance(protocols, Missing):
        return protocols
    settings = {}
    for protocol in protocols:
        asked = (*SETTINGS, *FILTERED_SETTINGS)  # in this order, so that a filter's value stands
        listed = command.run(("doveconf", "-f", f"protocol={protocol}", *asked))
        if isinstance(listed, Missing):
            return listed
        settings[protocol] = {name: value for blocks, name, value in _entries(listed) if not blocks}
    return Dovecot(
        listeners=tuple(_listeners(services, settings)),
        settings=settings,
        certificates_by_name=tuple(sorted(set(_certificates_by_name(changed)))),
    )


def certificate_paths(settings: Dovecot) -> list[str]:
    """The files that hold certificates, as any setting names them."""
    named = (
        scope[name]
        for scope in settings.settings.values()
        for name in _CERTIFICATES
        if name in scope
    )
    # Up to 2.3 a setting holds the content of a file, and "<" says from where to read it.
    paths = (path.removeprefix("<") for path in (*named, *settings.certificates_by_name))
    return [path for path in paths if path.startswith("/")]


def _protocols() -> Union[list[str], Missing]:
    """Those that are switched on: a list up to 2.3, a block of names and yes or no from 2.4."""
    listed = command.run(("doveconf", "protocols"))
    if isinstance(listed, Missing):
        return listed
    switched_on: list[str] = []
    for blocks, name, value in _entries(listed):
        if not blocks and name == "protocols":
            switched_on += value.split()
        elif blocks == ("protocols",) and value == "yes":
            switched_on.append(name)
    # A service is named for its protocol, and LMTP and ManageSieve are none of mail clients.
    known = [service.removesuffix("-login") for service in _SERVICES]
    return [protocol for protocol in known if protocol in switched_on]


def _listeners(text: str, settings: dict[str, dict[str, str]]) -> Iterator[DovecotListener]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for blocks, name, value in _entries(text):
        if len(blocks) == 2 and blocks[1].startswith("inet_listener "):  # noqa: PLR2004
            service = blocks[0].removeprefix("service ")
            listener = blocks[1].removeprefix("inet_listener ").strip('"')
            found.setdefault((service, listener), {})[name] = value
    for (service, listener), fields in found.items():
        scope = settings.get(service.removesuffix("-login"))
        port = fields.get("port", "0")
        with_tls = fields.get("ssl") == "yes"
        # `ssl = no` takes every TLS listener away; port 0 switches one off.
        if scope is None or port == "0" or (with_tls and scope.get("ssl") == "no"):
            continue
        addresses = fields.get("address") or fields.get("listen") or scope.get("listen", "")
        yield DovecotListener(
            service=service,
            name=listener,
            port=int(port),
            addresses=tuple(addresses.replace(",", " ").split()),
            ssl=with_tls,
        )


def _certificates_by_name(text: str) -> Iterator[str]:
    for blocks, name, value in _entries(text):
        if name in _CERTIFICATES and any(block.startswith("local") for block in blocks):
            yield value


def _entries(text: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each `name = value` of doveconf's output with the headers of the blocks around it.

    `ssl_server { cert_file = … }` is the other way to write `ssl_server_cert_file = …`.
    """
    blocks: list[str] = []
    for line in map(str.strip, text.splitlines()):
        header = _BLOCK.fullmatch(line)
        if header:
            blocks.append(header["name"])
        elif line == "}" and blocks:
            blocks.pop()
        elif " =" in line and not line.startswith("#"):
            name, _, value = line.partition(" =")
            if blocks[-1:] == ["ssl_server"]:
                yield tuple(blocks[:-1]), f"ssl_server_{name}", value.strip()
            else:
                yield tuple(blocks), name, value.strip()
