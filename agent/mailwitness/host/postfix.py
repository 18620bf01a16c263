"""Postfix, as postconf(1) gives it: effective settings and the services that listen."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Optional, Union

from mailwitness.evidence.host import ClientTable, Postfix, PostfixService, ServerName
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, postscreen
from mailwitness.host.configuration import of_postfix
from mailwitness.host.daemons import postfix_daemon
from mailwitness.host.keys import Pair, contents
from mailwitness.host.postfix_access import client_table, tables_named, without_keys
from mailwitness.host.postfix_ciphers import SECURITY_LEVEL, cipher_list
from mailwitness.host.postfix_server_names import server_names
from mailwitness.host.tls_library import CipherText

# The parameters that bear on TLS, login and who may connect. The list is what keeps secrets
# in: nothing else that main.cf or master.cf may hold leaves the host.
PARAMETERS = (
    "compatibility_level",
    "inet_interfaces",
    "inet_protocols",
    "mail_version",
    "master_service_disable",
    "myhostname",
    "mynetworks",
    "smtpd_client_restrictions",
    "smtpd_discard_ehlo_keywords",
    "smtpd_enforce_tls",
    "smtpd_relay_restrictions",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_exceptions_networks",
    "smtpd_sasl_mechanism_filter",
    "smtpd_sasl_path",
    "smtpd_sasl_security_options",
    "smtpd_sasl_tls_security_options",
    "smtpd_sasl_type",
    "smtpd_tls_ask_ccert",
    "smtpd_tls_auth_only",
    "smtpd_tls_cert_file",
    "smtpd_tls_chain_files",
    "smtpd_tls_ciphers",
    "smtpd_tls_dcert_file",
    "smtpd_tls_dkey_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_eckey_file",
    "smtpd_tls_eecdh_grade",
    "smtpd_tls_exclude_ciphers",
    "smtpd_tls_key_file",
    "smtpd_tls_mandatory_ciphers",
    "smtpd_tls_mandatory_exclude_ciphers",
    "smtpd_tls_mandatory_protocols",
    "smtpd_tls_protocols",
    "smtpd_tls_req_ccert",
    "smtpd_tls_security_level",
    "smtpd_tls_wrappermode",
    "smtpd_upstream_proxy_protocol",
    "smtpd_use_tls",
    "tls_config_file",
    "tls_config_name",
    "tls_eecdh_auto_curves",
    "tls_export_cipherlist",
    "tls_ffdhe_auto_groups",
    "tls_high_cipherlist",
    "tls_low_cipherlist",
    "tls_medium_cipherlist",
    "tls_null_cipherlist",
    "tls_preempt_cipherlist",
    "tls_server_sni_maps",
    "tls_ssl_options",
    *postscreen.PARAMETERS,
)
_Line = tuple[str, str]  # of master.cf: the service's name and type
# The programs that have a part in what a listening one offers, beside itself.
_LINES: Mapping[str, Mapping[str, _Line]] = {
    "postscreen": {"tlsproxy": ("tlsproxy", "unix"), "smtpd": ("smtpd", "pass")}
}
_DIRECTORIES = ("config_directory", "queue_directory")
_CERTIFICATE_FILES = ("smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file")


@dataclass(frozen=True)
class Found:
    """The settings, and what is asked of the host beside them."""

    postfix: Postfix
    pairs: tuple[Pair, ...]
    import_environment: str


def postfix(directory: Optional[str] = None) -> Union[Found, Missing, None]:
    """The settings of an instance, the default one without a `directory`; needs no root.

    None: Postfix is not installed.
    """
    postconf = ("postconf", *(("-c", directory) if directory is not None else ()))
    listed = command.run((*postconf, "-x", *PARAMETERS))
    if isinstance(listed, command.NotInstalled):
        return None
    if isinstance(listed, Missing):
        return listed
    directories = command.run((*postconf, "-h", "import_environment", *_DIRECTORIES))
    # Services as `name/type/field = value`, their overrides as `name/type/parameter = value`.
    fields = command.run((*postconf, "-F"))
    overrides = command.run((*postconf, "-Px"))
    for answer in (directories, fields, overrides):
        if isinstance(answer, Missing):
            return answer
    assert isinstance(directories, str)
    assert isinstance(fields, str)
    assert isinstance(overrides, str)
    environment, folder, queue = (line.strip() for line in directories.splitlines())
    settings = without_keys(_assignments(listed))
    services = _services(postconf, settings, _by_service(fields), _by_service(overrides))
    if isinstance(services, Missing):
        return services
    found = Postfix(
        config_directory=folder,
        settings=settings,
        services=services,
        server_names=_server_names(folder, settings, services),
        client_tables=_client_tables(folder, settings, services),
        configuration=of_postfix(folder, PARAMETERS),
        daemon=postfix_daemon(queue),
    )
    return Found(found, tuple(_pairs(found)), environment)


def cipher_lists(found: Postfix) -> list[CipherText]:
    """Those of its services, as far as Postfix takes them."""
    lists = (cipher_list(settings) for settings in _scopes(found))
    return [(text, SECURITY_LEVEL) for text in lists if not isinstance(text, Missing)]


def _pairs(found: Postfix) -> list[Pair]:
    """The files of certificates and their keys, as any service's settings name them."""
    named = []
    for settings in _scopes(found):
        chain_files = _chain_files(settings)
        for file, after in zip(chain_files, (*chain_files[1:], "")):
            # postconf(5): a key stands before its chain, in the same file or the one before.
            holds = contents(file)
            if "key" in holds:
                named.append(Pair(file if "certificate" in holds else after, file))
        for setting in () if chain_files else _CERTIFICATE_FILES:
            certificate = settings.get(setting, "")
            key = settings.get(setting.replace("cert_", "key_"), "") or certificate
            if certificate not in ("", "none"):
                named.append(Pair(certificate, key))
    return named


def certificate_paths(found: Postfix) -> list[str]:
    """The files that hold certificates, as any service's settings name them."""
    return [path for settings in _scopes(found) for path in certificate_files(settings)]


def certificate_files(settings: Mapping[str, str]) -> list[str]:
    """Those of one service; postconf(5): the chain files stand in place of all others."""
    named = _chain_files(settings) or [settings.get(name, "") for name in _CERTIFICATE_FILES]
    return [path for path in named if path not in ("", "none")]


def _chain_files(settings: Mapping[str, str]) -> list[str]:
    return settings.get("smtpd_tls_chain_files", "").replace(",", " ").split()


def _scopes(found: Postfix) -> Iterator[dict[str, str]]:
    """The effective settings of each service, and those of postscreen where it speaks itself."""
    for service in found.services:
        settings = {**found.settings, **service.overrides}
        yield settings
        if service.program == "postscreen" and postscreen.speaks_itself(settings):
            yield postscreen.of_tls(settings)


def _server_names(
    directory: str, settings: dict[str, str], services: tuple[PostfixService, ...]
) -> dict[str, Union[tuple[ServerName, ...], Missing]]:
    name = "tls_server_sni_maps"
    named = {{**settings, **service.overrides}.get(name, "") for service in services}
    return {maps: server_names(directory, maps) for maps in sorted(named) if maps}


def _client_tables(
    directory: str, settings: dict[str, str], services: tuple[PostfixService, ...]
) -> dict[str, Union[ClientTable, Missing]]:
    scopes = (settings, *(service.overrides for service in services))
    named = {word for scope in scopes for word in tables_named(scope)}
    return {word: client_table(directory, word) for word in sorted(named)}


def _services(
    postconf: tuple[str, ...],
    settings: dict[str, str],
    fields: dict[_Line, dict[str, str]],
    overrides: dict[_Line, dict[str, str]],
) -> Union[tuple[PostfixService, ...], Missing]:
    found = []
    for (name, kind), field in fields.items():
        program = field.get("command", "").split(maxsplit=1)[:1]
        if kind != "inet" or program not in (["smtpd"], ["postscreen"]):
            continue
        if _switched_off(name, kind, settings):
            continue
        address, _, port = name.rpartition(":")
        own = _own(
            postconf, settings, {**_LINES.get(program[0], {}), program[0]: (name, kind)}, overrides
        )
        if isinstance(own, Missing):
            return own
        found.append(
            PostfixService(
                name=name,
                port=_port(port),
                address=address.strip("[]") or None,
                program=program[0],
                overrides=own,
            )
        )
    return tuple(found)


def _switched_off(name: str, kind: str, settings: Mapping[str, str]) -> bool:
    """postconf(5), master_service_disable: the first that fits decides. New instances have it."""
    for word in settings.get("master_service_disable", "").replace(",", " ").split():
        if word.lstrip("!") in (kind, f"{name}/{kind}"):
            return not word.startswith("!")
    return False


def _own(
    postconf: tuple[str, ...],
    settings: dict[str, str],
    lines: Mapping[str, _Line],
    overrides: Mapping[_Line, dict[str, str]],
) -> Union[dict[str, str], Missing]:
    """What the lines of these programs make other, of each the settings that are its own."""
    found = {}
    for program, line in lines.items():
        own = _effective(postconf, settings, overrides.get(line, {}))
        if isinstance(own, Missing):
            return own
        for name, value in own.items():
            prefix = name.partition("_")[0]
            if program == (prefix if prefix in ("postscreen", "tlsproxy") else "smtpd"):
                found[name] = value
    return found


def _effective(
    postconf: tuple[str, ...], settings: dict[str, str], overrides: dict[str, str]
) -> Union[dict[str, str], Missing]:
    """What is other for a service than for the rest: what refers to a setting follows it.

    The default of smtpd_sasl_tls_security_options is $smtpd_sasl_security_options, for one.
    """
    options = [
        word
        for name, value in overrides.items()
        if name in PARAMETERS
        for word in ("-o", f"{name}={value}")
    ]
    if not options:
        return {}
    listed = command.run((*postconf, "-x", *options, *PARAMETERS))
    if isinstance(listed, Missing):
        return listed
    effective = without_keys(_assignments(listed))
    return {name: value for name, value in effective.items() if value != settings.get(name)}


def _port(service: str) -> Union[int, Missing]:
    if service.isdigit():
        return int(service)
    try:
        return socket.getservbyname(service, "tcp")
    except OSError:
        return Missing(f"/etc/services knows no {service}/tcp")


def _by_service(text: str) -> dict[_Line, dict[str, str]]:
    found: dict[_Line, dict[str, str]] = {}
    for key, value in _assignments(text).items():
        name, kind, field = key.rsplit("/", 2)
        found.setdefault((name, kind), {})[field] = value
    return found


def _assignments(text: str) -> dict[str, str]:
    """`name = value` lines; postconf writes long values on lines that begin with white space."""
    found: dict[str, str] = {}
    name: Optional[str] = None
    for line in text.splitlines():
        if line[:1].isspace() and name is not None:
            found[name] = f"{found[name]} {line.strip()}".strip()
        elif " =" in line:
            name, _, value = line.partition(" =")
            found[name] = value.strip()
    return found
