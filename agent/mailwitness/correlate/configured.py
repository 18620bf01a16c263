"""What the settings of Dovecot and Postfix make of one port."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from mailwitness import resolver
from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.correlate.endpoint import CertificateOnDisk, Configured, Scope
from mailwitness.evidence.host import (
    CertificateFile,
    Configuration,
    Dovecot,
    DovecotListener,
    HostEvidence,
    Postfix,
    PostfixService,
)
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Protocol
from mailwitness.host import postscreen
from mailwitness.host.dovecot import certificate_files as dovecot_certificates
from mailwitness.host.dovecot import dh_file
from mailwitness.host.postfix import certificate_files as postfix_certificates
from mailwitness.resolver.dovecot import Given
from mailwitness.resolver.library import Key
from mailwitness.resolver.offer import Offer

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
    for postfix in _instances(host):
        for service in () if isinstance(postfix, Missing) else postfix.services:
            if not isinstance(service.port, Missing):
                found[service.port] = "smtp"
    return found


def configured(host: HostEvidence, port: int) -> Configured | Missing | None:
    """What is configured on `port`; None where both products are known to have nothing there.

    What listens on the loopback alone is nobody's who comes from outside, where else something is.
    """
    instances = list(_instances(host))
    found = list(_listeners(host, instances, port))
    # One alone is taken wherever it listens.
    outward = [each for each in found if len(found) == 1 or not _on_loopback(*each)] or found
    if not outward:
        unread = (each for each in (host.dovecot, *instances) if isinstance(each, Missing))
        return next(unread, None)
    product, listener = outward[0]
    if any(_address_apart(*each) != _address_apart(*outward[0]) for each in outward):
        places = " and ".join(dict.fromkeys(_place(*each) for each in outward))
        return Missing(f"several daemons have this port, which are not told apart: {places}")
    if isinstance(product, Dovecot):
        assert isinstance(listener, DovecotListener)
        return _by_dovecot(host, product, listener)
    assert isinstance(listener, PostfixService)
    return _by_postfix(host, product, listener)


_Product = Dovecot | Postfix
_Listener = DovecotListener | PostfixService


def _listeners(
    host: HostEvidence, instances: Iterable[Postfix | Missing], port: int
) -> Iterator[tuple[_Product, _Listener]]:
    if isinstance(host.dovecot, Dovecot):
        for listener in host.dovecot.listeners:
            if listener.port == port:
                yield host.dovecot, listener
    for postfix in instances:
        for service in () if isinstance(postfix, Missing) else postfix.services:
            if service.port == port:
                assert isinstance(postfix, Postfix)
                yield postfix, service


def _instances(host: HostEvidence) -> Iterator[Postfix | Missing]:
    """The default one first; those that are not started are none of it."""
    others = host.postfix_instances
    named = () if isinstance(others, Missing) else others or ()
    for postfix in (host.postfix, *(instance.postfix for instance in named)):
        if postfix is not None:
            yield postfix


def _on_loopback(product: _Product, listener: _Listener) -> bool:
    if isinstance(listener, DovecotListener):
        words = list(listener.addresses)
    elif listener.address is not None:
        words = [listener.address]
    else:
        assert isinstance(product, Postfix)
        settings = {**product.settings, **listener.overrides}
        words = settings.get("inet_interfaces", "").replace(",", " ").split()
    return bool(words) and all(map(_is_loopback, words))


def _is_loopback(word: str) -> bool:
    try:
        return ipaddress.ip_address(word.strip("[]")).is_loopback
    except ValueError:
        return word in ("localhost", "loopback-only")


def _address_apart(product: _Product, listener: _Listener) -> tuple[str, _Listener]:
    """What it is, wherever it listens."""
    if isinstance(listener, DovecotListener):
        return "", listener._replace(name="", addresses=())
    assert isinstance(product, Postfix)
    return product.config_directory, listener._replace(name="", address=None)


def _place(product: _Product, listener: _Listener) -> str:
    if isinstance(product, Dovecot):
        return f"Dovecot's inet_listener {listener.name}"
    return f"{product.config_directory}/master.cf, {listener.name}/inet"


def _by_dovecot(host: HostEvidence, dovecot: Dovecot, listener: DovecotListener) -> Configured:
    protocol = listener.service.removesuffix("-login")
    settings = dovecot.settings.get(protocol, {})
    certificates = _on_disk(host, dovecot_certificates(settings))
    given = _given(host, dovecot, settings, certificates)
    return Configured(
        product="dovecot",
        version=given.version,
        listener=listener,
        source=f"doveconf, service {listener.service}, inet_listener {listener.name}",
        settings=settings,
        main=dovecot.main,
        origins=_origins(dovecot.configuration, [(), (f"protocol {protocol}",)]),
        offer=resolver.dovecot.offer(settings, given, implicit=listener.ssl),
        scopes=tuple(_scopes(host, dovecot, listener)),
        certificates=certificates,
        server_names={},
        client_tables={},
        files=dovecot.configuration.files,
        daemon=dovecot.daemon,
        library=given.library,
    )


def _given(
    host: HostEvidence,
    dovecot: Dovecot,
    settings: Mapping[str, str],
    certificates: tuple[CertificateOnDisk, ...],
) -> Given:
    path = dh_file(settings)
    unread = Missing(f"{path} was not looked into")
    return Given(
        version=_version(host, "dovecot"),
        library=host.dovecot_library or Missing("which TLS library Dovecot loads"),
        keys=_keys(host, certificates),
        dh_bits=dovecot.dh_bits.get(path, unread) if path else 0,
    )


def _version(host: HostEvidence, product: str) -> str | Missing:
    if isinstance(host.software, Missing):
        return host.software
    found = (item.version for item in host.software if item.product == product)
    return next(found, Missing(f"the version of {product} was not seen"))


def _scopes(host: HostEvidence, dovecot: Dovecot, listener: DovecotListener) -> Iterator[Scope]:
    for scope in dovecot.scopes:
        if scope.protocol != listener.service.removesuffix("-login"):
            continue
        if isinstance(scope.settings, Missing):
            settings: dict[str, str] = {}
            certificates: tuple[CertificateOnDisk, ...] = ()
            offer = Offer.unknown(scope.settings)
        else:
            settings = scope.settings
            certificates = _on_disk(host, dovecot_certificates(settings))
            given = _given(host, dovecot, settings, certificates)
            offer = resolver.dovecot.offer(settings, given, implicit=listener.ssl)
        yield Scope(scope.local, scope.remote, scope.local_name, settings, offer, certificates)


def _by_postfix(host: HostEvidence, postfix: Postfix, service: PostfixService) -> Configured:
    settings = {**postfix.settings, **service.overrides}
    certificates = _on_disk(host, postfix_certificates(settings))
    library = host.postfix_library or Missing("which TLS library Postfix loads")
    offer = resolver.postfix.offer(
        settings, library, _keys(host, certificates), _sasl_mechanisms(host, settings)
    )
    if service.program == "postscreen" and postscreen.speaks_itself(settings):
        of_its_own = _on_disk(host, postfix_certificates(postscreen.of_tls(settings)))
        own = resolver.postscreen.own_offer(settings, library, _keys(host, of_its_own))
        offer = resolver.postscreen.either(offer, own)
        certificates = tuple(dict.fromkeys((*certificates, *of_its_own)))
    return Configured(
        product="postfix",
        version=_version(host, "postfix"),
        listener=service,
        source=f"postconf, {postfix.config_directory}/master.cf, service {service.name}/inet",
        settings=settings,
        main=postfix.settings,
        origins=_origins(postfix.configuration, [(), (f"{service.name}/inet",)]),
        offer=offer,
        scopes=(),
        certificates=certificates,
        server_names=_server_names(postfix, settings.get("tls_server_sni_maps", "")),
        client_tables=postfix.client_tables,
        files=postfix.configuration.files,
        daemon=postfix.daemon,
        library=library,
        instance="" if postfix is host.postfix else postfix.config_directory,
    )


def _server_names(
    postfix: Postfix, maps: str
) -> dict[str, tuple[CertificateOnDisk, ...] | Missing] | Missing:
    if not maps:
        return {}
    names = postfix.server_names.get(maps, Missing(f"{maps} was not looked into"))
    if isinstance(names, Missing):
        return names
    when = Missing("the table's entries have no times")
    return {
        each.name: each.certificates
        if isinstance(each.certificates, Missing)
        else tuple(CertificateOnDisk(maps, when, parse(pem)) for pem in each.certificates)
        for each in names
    }


def _sasl_mechanisms(host: HostEvidence, settings: Mapping[str, str]) -> tuple[str, ...] | Missing:
    """Dovecot gives Postfix all that it has."""
    if settings.get("smtpd_sasl_type") != "dovecot":
        kind = settings.get("smtpd_sasl_type")
        return Missing(f"which mechanisms smtpd_sasl_type = {kind} has is not looked into")
    path = settings.get("smtpd_sasl_path", "")
    if path.startswith("inet:"):
        return Missing(f"smtpd_sasl_path = {path}: the authentication service of another host")
    if not isinstance(host.dovecot, Dovecot):
        return Missing("Dovecot, which Postfix asks, gave no settings")
    for found in host.dovecot.settings.values():
        return tuple(found.get("auth_mechanisms", "").upper().split())
    return Missing("Dovecot, which Postfix asks, serves no protocol of mail clients")


def _origins(configuration: Configuration, blocks: list[tuple[str, ...]]) -> dict[str, str]:
    """What stands later in a file, or deeper in its blocks, is what holds."""
    if isinstance(configuration.assignments, Missing):
        return {}
    return {
        assignment.name: f"{assignment.file}:{assignment.line}"
        for block in blocks
        for assignment in configuration.assignments
        if assignment.block == block
    }


def _keys(
    host: HostEvidence, certificates: Iterable[CertificateOnDisk]
) -> tuple[Key, ...] | Missing:
    """The keys of a listener, as far as their certificates can be loaded with them."""
    if isinstance(host.keys, Missing):
        return host.keys
    found = []
    matches = {file.certificate: file.matches for file in host.keys}
    for certificate in certificates:
        if isinstance(certificate.leaf, Missing):
            return Missing(f"{certificate.path}: {certificate.leaf.reason}")
        fits = matches.get(certificate.path, Missing(f"{certificate.path}: its key is not known"))
        if isinstance(fits, Missing) and certificate.leaf.fingerprint in _served(host):
            fits = True  # who may not read the key sees that the daemon could
        if isinstance(fits, Missing):
            return fits
        if not fits:
            return ()  # neither daemon goes on with the others
        key = _key(certificate.leaf)
        if isinstance(key, Missing):
            return key
        found.append(key)
    return tuple(found)


def _served(host: HostEvidence) -> set[str]:
    """The fingerprints of what the host's own handshakes were shown."""
    looks = () if isinstance(host.running, Missing) else host.running
    leaves = (
        parse(chain.leaf)
        for look in looks
        if not isinstance(look.session, Missing)
        for chain in look.session.chains
        if not isinstance(chain.leaf, Missing)
    )
    return {leaf.fingerprint for leaf in leaves if not isinstance(leaf, Missing)}


def _key(leaf: Certificate) -> Key | Missing:
    used = leaf.signature_hash
    if isinstance(used, Missing):
        return used
    weakly = used in ("md5", "sha1") and not leaf.self_signed
    public = leaf.key
    match public:
        case Missing():
            return public
        case rsa.RSAPublicKey():
            return Key("RSA", public.key_size, weakly)
        case ec.EllipticCurvePublicKey():
            return Key("ECDSA", public.key_size, weakly)
        case dsa.DSAPublicKey():
            return Key("DSA", public.key_size, weakly)
        case _:
            return Key("EdDSA", 256, weakly)


def _on_disk(host: HostEvidence, paths: list[str]) -> tuple[CertificateOnDisk, ...]:
    if isinstance(host.certificates, Missing):
        unread = host.certificates
        return tuple(CertificateOnDisk(path, unread, unread) for path in paths)
    files = {file.path: file for file in host.certificates}
    return tuple(_leaf_of(files[path]) for path in paths if path in files)


def _leaf_of(file: CertificateFile) -> CertificateOnDisk:
    if isinstance(file.certificates, Missing):
        return CertificateOnDisk(file.path, file.modified_at, file.certificates)
    if not file.certificates:
        return CertificateOnDisk(file.path, file.modified_at, Missing("no certificate in it"))
    return CertificateOnDisk(file.path, file.modified_at, parse(file.certificates[0]))
