"""Postfix, as postconf(1) gives it: effective settings and the services that listen."""

import socket
from typing import Optional, Union

from mailwitness.evidence.host import Postfix, PostfixService
from mailwitness.evidence.missing import Missing
from mailwitness.host import command

# The parameters that bear on TLS, login and who may connect. The list is what keeps secrets
# in: nothing else that main.cf or master.cf may hold leaves the host.
PARAMETERS = (
    "compatibility_level",
    "inet_interfaces",
    "inet_protocols",
    "mail_version",
    "mynetworks",
    "myhostname",
    "smtpd_client_restrictions",
    "smtpd_discard_ehlo_keywords",
    "smtpd_enforce_tls",
    "smtpd_relay_restrictions",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_exceptions_networks",
    "smtpd_sasl_mechanism_filter",
    "smtpd_sasl_security_options",
    "smtpd_sasl_tls_security_options",
    "smtpd_sasl_type",
    "smtpd_tls_ask_ccert",
    "smtpd_tls_auth_only",
    "smtpd_tls_cert_file",
    "smtpd_tls_chain_files",
    "smtpd_tls_ciphers",
    "smtpd_tls_dcert_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_eecdh_grade",
    "smtpd_tls_exclude_ciphers",
    "smtpd_tls_mandatory_ciphers",
    "smtpd_tls_mandatory_exclude_ciphers",
    "smtpd_tls_mandatory_protocols",
    "smtpd_tls_protocols",
    "smtpd_tls_req_ccert",
    "smtpd_tls_security_level",
    "smtpd_tls_wrappermode",
    "smtpd_use_tls",
    "tls_high_cipherlist",
    "tls_medium_cipherlist",
    "tls_preempt_cipherlist",
    "tls_server_sni_maps",
)


def postfix() -> Union[Postfix, Missing, None]:
    """None: not installed. The default instance's settings; postconf needs no root for them."""
    listed = command.run(("postconf", "-x", *PARAMETERS))
    if isinstance(listed, command.NotInstalled):
        return None
    if isinstance(listed, Missing):
        return listed
    directory = command.run(("postconf", "-h", "config_directory"))
    # Services as `name/type/field = value`, their overrides as `name/type/parameter = value`.
    fields = command.run(("postconf", "-F"))
    overrides = command.run(("postconf", "-Px"))
    for answer in (directory, fields, overrides):
        if isinstance(answer, Missing):
            return answer
    assert isinstance(directory, str)
    assert isinstance(fields, str)
    assert isinstance(overrides, str)
    return Postfix(
        config_directory=directory.strip(),
        settings=_assignments(listed),
        services=_services(_by_service(fields), _by_service(overrides)),
    )


def certificate_paths(settings: Postfix) -> list[str]:
    """The files that hold certificates, as any service's settings name them."""
    paths = []
    for scope in (settings.settings, *(service.overrides for service in settings.services)):
        for name, value in scope.items():
            if name.endswith("cert_file") or name == "smtpd_tls_chain_files":
                paths += [path for path in value.replace(",", " ").split() if path != "none"]
    return paths


def _services(
    fields: dict[tuple[str, str], dict[str, str]], overrides: dict[tuple[str, str], dict[str, str]]
) -> tuple[PostfixService, ...]:
    found = []
    for (name, kind), field in fields.items():
        program = field.get("command", "").split(maxsplit=1)[:1]
        if kind != "inet" or program not in (["smtpd"], ["postscreen"]):
            continue
        address, _, port = name.rpartition(":")
        found.append(
            PostfixService(
                name=name,
                port=_port(port),
                address=address.strip("[]") or None,
                program=program[0],
                overrides={
                    parameter: value
                    for parameter, value in overrides.get((name, kind), {}).items()
                    if parameter in PARAMETERS
                },
            )
        )
    return tuple(found)


def _port(service: str) -> Union[int, Missing]:
    if service.isdigit():
        return int(service)
    try:
        return socket.getservbyname(service, "tcp")
    except OSError:
        return Missing(f"/etc/services knows no {service}/tcp")


def _by_service(text: str) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
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
