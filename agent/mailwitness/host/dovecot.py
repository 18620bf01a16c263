"""Dovecot, as doveconf(1) gives it: the login listeners, and the settings of each protocol."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Union

from mailwitness.evidence.host import Dovecot, DovecotListener, DovecotScope
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.configuration import of_dovecot
from mailwitness.host.daemons import dovecot_daemon
from mailwitness.host.dh_parameters import dh_bits
from mailwitness.host.doveconf import walk
from mailwitness.host.dovecot_passdbs import passdbs
from mailwitness.host.keys import Pair
from mailwitness.host.tls_library import CipherText

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
    "ssl_dh",
    "ssl_dh_parameters_length",
    "ssl_min_protocol",
    "ssl_options",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_request_client_cert",
    "ssl_server_alt_cert_file",
    "ssl_server_cert_file",
    "ssl_server_dh_file",
    "ssl_server_prefer_ciphers",
    "ssl_server_request_client_cert",
    "ssl_verify_client_cert",
)
# A certificate's setting and that of its key, whose value never leaves the host but as a path.
_KEYS = {
    "ssl_cert": "ssl_key",
    "ssl_alt_cert": "ssl_alt_key",
    "ssl_server_cert_file": "ssl_server_key_file",
    "ssl_server_alt_cert_file": "ssl_server_alt_key_file",
}
_ASKED = (*SETTINGS, *_KEYS.values())
# From 2.4 on doveconf gives these under a named filter alone, and under their full names nothing.
_FILTERED = tuple(
    name.replace("ssl_server_", "ssl_server/") for name in _ASKED if name.startswith("ssl_server_")
)
_SERVICES = ("imap-login", "pop3-login", "submission-login")
_FILTERS = ("local", "remote", "local_name")
_Entry = tuple[tuple[str, ...], str, str]  # the headers of the blocks around it, name, value
_MAX_SCOPES = 60  # each is a run of doveconf
_BEFORE_2_4 = re.compile(r"# 2\.[0-3]\.")


@dataclass(frozen=True)
class Found:
    """The settings, and what is asked of the host beside them."""

    dovecot: Dovecot
    pairs: tuple[Pair, ...]
    import_environment: str


def dovecot() -> Union[Found, Missing, None]:
    """None: not installed."""
    asked = (*(f"service/{name}" for name in _SERVICES), "protocols", "base_dir")
    services = command.run(("doveconf", *asked, "import_environment"))
    if isinstance(services, command.NotInstalled):
        return None
    changed = command.run(("doveconf", "-n"))
    for answer in (services, changed):
        if isinstance(answer, Missing):
            return answer
    assert isinstance(services, str)
    assert isinstance(changed, str)
    entries = list(_entries(services))
    # The version and the file: "# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf".
    head = changed.partition("\n")[0]
    listed = command.run(("doveconf", *_ASKED, *_FILTERED))
    if isinstance(listed, Missing):
        return listed
    main = _values(listed)
    # Each name takes doveconf most of a millisecond, one that its version does not have as well.
    known = [name for name in (*_ASKED, *_FILTERED) if name.replace("/", "_") in main]
    scopes = _scopes(_protocols(entries), list(_entries(changed)), head, known)
    if isinstance(scopes, Missing):
        return scopes
    pairs = [pair for scope in scopes for pair in _pairs(scope.settings)]
    settings = {}
    filtered = []
    for scope in scopes:
        if isinstance(scope.settings, Missing):
            if not _filters(scope):
                return scope.settings
            filtered.append(scope)
        elif _filters(scope):
            filtered.append(scope._replace(settings=_public(scope.settings)))
        else:
            settings[scope.protocol] = _public(scope.settings)
    named = [dh_file(each) for each in (*settings.values(), *map(_known, filtered))]
    directory = next((value for blocks, name, value in entries if name == "base_dir"), "")
    return Found(
        dovecot=Dovecot(
            listeners=tuple(_listeners(entries, settings)),
            main=_public(main),
            settings=settings,
            scopes=tuple(filtered),
            passdbs=passdbs(changed),
            dh_bits={path: dh_bits(path) for path in dict.fromkeys(filter(None, named))},
            configuration=of_dovecot(head.rpartition(" ")[2], SETTINGS),
            daemon=dovecot_daemon(directory),
        ),
        pairs=tuple(dict.fromkeys(pairs)),
        import_environment=_import_environment(entries),
    )


def cipher_lists(found: Dovecot) -> list[CipherText]:
    """Those of every scope; the level is the system's."""
    every = (*found.settings.values(), *(scope.settings for scope in found.scopes))
    return [
        (settings["ssl_cipher_list"], None)
        for settings in every
        if not isinstance(settings, Missing) and settings.get("ssl_cipher_list")
    ]


def _scopes(
    protocols: list[str], changed: list[_Entry], head: str, known: list[str]
) -> Union[list[DovecotScope], Missing]:
    """The settings `known` of each protocol, and of each filter block that has some of ours."""
    chains = {blocks for blocks, name, _ in changed if name in _ASKED}
    wanted = [(protocol, dict[str, str]()) for protocol in protocols]
    for chain in sorted(chains):
        headers = [block.partition(" ") for block in chain]
        filters = {kind: value.strip('"') for kind, _, value in headers if kind in _FILTERS}
        named = [value.strip('"') for kind, _, value in headers if kind == "protocol"]
        if filters:
            wanted += [
                (protocol, filters) for protocol in protocols if not named or protocol in named
            ]
    if len(wanted) > _MAX_SCOPES:
        return Missing(f"more than {_MAX_SCOPES} filter blocks: not looked into")
    return [
        DovecotScope(
            protocol=protocol,
            local=filters.get("local"),
            remote=filters.get("remote"),
            local_name=filters.get("local_name"),
            settings=_settings(protocol, filters, known, before_2_4=bool(_BEFORE_2_4.match(head))),
        )
        for protocol, filters in wanted
    ]


def _settings(
    protocol: str, filters: dict[str, str], known: list[str], *, before_2_4: bool
) -> Union[dict[str, str], Missing]:
    """The effective ones for a client that all of the filters match."""
    arguments = ["-f", f"protocol={protocol}"]
    for kind, value in filters.items():
        if kind == "local_name":
            # One name of those of the block; for a wildcard, a name that it stands for.
            name = value.split()[0].replace("*", "any")
            arguments += ["-f", f"{'lname' if before_2_4 else 'local_name'}={name}"]
        else:
            address = _address_in(value)
            if isinstance(address, Missing):
                return address
            arguments += ["-f", f"{kind}={address}"]
    listed = command.run(("doveconf", *arguments, *known))
    if isinstance(listed, Missing):
        return listed
    return _values(listed)


def _values(listed: str) -> dict[str, str]:
    """In the order asked, so that a named filter's value stands."""
    return {name: value for blocks, name, value in _entries(listed) if not blocks}


def _address_in(block: str) -> Union[str, Missing]:
    """One address of the network that a block's header names."""
    try:
        return str(ipaddress.ip_network(block, strict=False).network_address)
    except ValueError:
        return Missing(f"the block is of {block!a}, which is no address: who that is, is not known")


def _filters(scope: DovecotScope) -> dict[str, str]:
    every = {kind: getattr(scope, kind) for kind in _FILTERS}
    return {kind: value for kind, value in every.items() if value is not None}


def _public(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name in SETTINGS}


def _known(scope: DovecotScope) -> dict[str, str]:
    return {} if isinstance(scope.settings, Missing) else scope.settings


def dh_file(settings: Mapping[str, str]) -> str:
    """That of the DH parameters; "" where none is named."""
    named = (_file(settings, name) for name in ("ssl_server_dh_file", "ssl_dh"))
    return next(filter(None, named), "")


def certificate_files(settings: Mapping[str, str]) -> list[str]:
    """Those that these settings name."""
    named = (_file(settings, name) for name in _KEYS)
    return [path for path in named if path]


def _pairs(settings: Union[dict[str, str], Missing]) -> Iterator[Pair]:
    if isinstance(settings, Missing):
        return
    for names in _KEYS.items():
        files = [_file(settings, name) for name in names]
        if all(file.startswith("/") for file in files):
            yield Pair(*files)


def _file(settings: Mapping[str, str], name: str) -> str:
    """Up to 2.3 a setting holds the content of a file, and "<" says from where to read it."""
    return settings.get(name, "").removeprefix("<").strip()


def _import_environment(entries: list[_Entry]) -> str:
    """As up to 2.3; from 2.4 on each variable is an entry of its own."""
    words = [value for blocks, name, value in entries if name == "import_environment"]
    words += [
        f"{name}={value}" for blocks, name, value in entries if blocks == ("import_environment",)
    ]
    return " ".join(words)


def _protocols(entries: list[_Entry]) -> list[str]:
    """Those that are switched on: a list up to 2.3, a block of names and yes or no from 2.4."""
    switched_on: list[str] = []
    for blocks, name, value in entries:
        if not blocks and name == "protocols":
            switched_on += value.split()
        elif blocks == ("protocols",) and value == "yes":
            switched_on.append(name)
    # A service is named for its protocol, and LMTP and ManageSieve are none of mail clients.
    known = [service.removesuffix("-login") for service in _SERVICES]
    return [protocol for protocol in known if protocol in switched_on]


def _listeners(
    entries: list[_Entry], settings: dict[str, dict[str, str]]
) -> Iterator[DovecotListener]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for blocks, name, value in entries:
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
            haproxy=fields.get("haproxy") == "yes",
        )


def _entries(text: str) -> Iterator[_Entry]:
    """Each `name = value` of doveconf's output with the headers of the blocks around it.

    `ssl_server { cert_file = … }` is the other way to write `ssl_server_cert_file = …`.
    """
    for blocks, name, value in walk(text):
        if value is None:
            continue
        if blocks[-1:] == ("ssl_server",):
            yield blocks[:-1], f"ssl_server_{name}", value
        else:
            yield blocks, name, value
