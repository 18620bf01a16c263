"""What the settings of Dovecot and Postfix make of one port."""

from collections.abc import Iterator, Mapping

from mailwitness.correlate.certificate import parse
from mailwitness.correlate.endpoint import CertificateOnDisk, Configured, TlsUse
from mailwitness.evidence.host import (
    CertificateFile,
    Dovecot,
    DovecotListener,
    HostEvidence,
    Postfix,
    PostfixService,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Protocol

_DOVECOT_CERTIFICATES = (
    "ssl_cert",
    "ssl_alt_cert",
    "ssl_server_cert_file",
    "ssl_server_alt_cert_file",
)
_POSTFIX_CERTIFICATES = ("smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file")
_SERVICE_PROTOCOLS: Mapping[str, Protocol] = {
    "imap-login": "imap",
    "pop3-login": "pop3",
    "submission-login": "smtp",
}


def ports(host: HostEvidence) -> dict[int, Protocol]:
    """Every port that the configuration opens to mail clients or other servers."""
    found: dict[int, Protocol] = {}
    if isinstance(host.dovecot, Dovecot):
        for listener in host.dovecot.listeners:
            found[listener.port] = _SERVICE_PROTOCOLS[listener.service]
    if isinstance(host.postfix, Postfix):
        for service in host.postfix.services:
            if not isinstance(service.port, Missing):
                found[service.port] = "smtp"
    return found


def configured(host: HostEvidence, port: int) -> Configured | Missing | None:
    """What is configured on `port`; None where both products are known to have nothing there."""
    for listener in _listeners(host.dovecot, port):
        assert isinstance(host.dovecot, Dovecot)
        return _by_dovecot(host, host.dovecot, listener)
    for service in _services(host.postfix, port):
        assert isinstance(host.postfix, Postfix)
        return _by_postfix(host, host.postfix, service)
    for product in (host.dovecot, host.postfix):
        if isinstance(product, Missing):
            return product
    return None


def _listeners(dovecot: Dovecot | Missing | None, port: int) -> Iterator[DovecotListener]:
    if isinstance(dovecot, Dovecot):
        yield from (listener for listener in dovecot.listeners if listener.port == port)


def _services(postfix: Postfix | Missing | None, port: int) -> Iterator[PostfixService]:
    if isinstance(postfix, Postfix):
        yield from (service for service in postfix.services if service.port == port)


def _by_dovecot(host: HostEvidence, dovecot: Dovecot, listener: DovecotListener) -> Configured:
    settings = dovecot.settings.get(_SERVICE_PROTOCOLS[listener.service], {})
    tls: TlsUse = "none" if settings.get("ssl") == "no" else "starttls"
    return Configured(
        product="dovecot",
        source=f"doveconf, service {listener.service}, inet_listener {listener.name}",
        tls="implicit" if listener.ssl else tls,
        settings=settings,
        certificates=_on_disk(host, (settings.get(name, "") for name in _DOVECOT_CERTIFICATES)),
    )


def _by_postfix(host: HostEvidence, postfix: Postfix, service: PostfixService) -> Configured:
    settings = {**postfix.settings, **service.overrides}
    chain_files = settings.get("smtpd_tls_chain_files", "").replace(",", " ").split()
    files = chain_files or [settings.get(name, "") for name in _POSTFIX_CERTIFICATES]
    return Configured(
        product="postfix",
        source=f"postconf, {postfix.config_directory}/master.cf, service {service.name}/inet",
        tls=_postfix_tls(settings),
        settings=settings,
        certificates=_on_disk(host, files),
    )


def _postfix_tls(settings: Mapping[str, str]) -> TlsUse:
    """postconf(5): wrappermode wins; a level wins over the two older settings."""
    if settings.get("smtpd_tls_wrappermode") == "yes":
        return "implicit"
    level = settings.get("smtpd_tls_security_level", "")
    if level:
        return "none" if level == "none" else "starttls"
    old = (settings.get("smtpd_use_tls"), settings.get("smtpd_enforce_tls"))
    return "starttls" if "yes" in old else "none"


def _on_disk(host: HostEvidence, paths: Iterator[str] | list[str]) -> tuple[CertificateOnDisk, ...]:
    if isinstance(host.certificates, Missing):
        unread = host.certificates
        named = (path.lstrip("<") for path in paths)
        return tuple(CertificateOnDisk(path, unread, unread) for path in named if path)
    files = {file.path: file for file in host.certificates}
    return tuple(
        _leaf_of(files[path])
        for path in (path.lstrip("<") for path in paths)
        if path and path in files
    )


def _leaf_of(file: CertificateFile) -> CertificateOnDisk:
    if isinstance(file.certificates, Missing):
        return CertificateOnDisk(file.path, file.modified_at, file.certificates)
    if not file.certificates:
        return CertificateOnDisk(file.path, file.modified_at, Missing("no certificate in it"))
    return CertificateOnDisk(file.path, file.modified_at, parse(file.certificates[0]))
