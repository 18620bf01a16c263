"""All certificates between the server's own and a root are served with it."""

import datetime
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import Served, moment, served
from mailwitness.correlate import trust
from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.correlate.host import Host
from mailwitness.evidence.missing import Missing
from mailwitness.policy.check import Case, Check, Explains, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    certificates = [one for one in served(case.session) if not one.leaf.self_signed]
    if not certificates:
        return not_applicable("no certificate here that somebody else has signed")
    roots = known(trust.store(case.host.plan.trust_store))
    bad: list[Witness] = []
    for certificate in certificates:
        given = tuple(certificate.intermediates())
        if trust.chain_problem(certificate.leaf, given, roots, moment(case)) is None:
            continue
        last = _last(certificate.leaf, given)
        if last.self_signed:
            continue  # it goes up to a root, though to none that is trusted
        bad.append(case.says(_missing(case, certificate, last, roots)))
    if bad:
        return failed("a certificate of the chain is not served", bad)
    return passed("every certificate up to the root is served")


def _last(leaf: Certificate, given: Sequence[Certificate]) -> Certificate:
    """How far up the served certificates lead from the leaf."""
    last, left = leaf, list(given)
    while not last.self_signed:
        issuers = [one for one in left if _has_signed(one, last)]
        if not issuers:
            break
        last = issuers[0]
        left.remove(last)
    return last


def _missing(case: Case, certificate: Served, last: Certificate, roots: trust.Store) -> str:
    """What shows that a certificate is missing, and not that the CA is an unknown one.

    Out of the check where nothing does: the issuer may be a company's own root.
    """
    ends = f"{certificate.where}: ends with {last.subject}, whose issuer {last.issuer}"
    for other in _seen(case.host):
        if not other.self_signed and _has_signed(other, last):
            return f"{ends} is no root, and not served"
    if any(root.subject == last.x509.issuer for root in roots.certificates):
        raise NotKnownError(f"{ends} is a known root, and yet no chain to it can be built")
    if last is certificate.leaf and _in_public_log(last):
        return f"{ends} is not served; public CAs do not sign servers' certificates with a root"
    raise NotKnownError(f"{ends} is neither served nor known: a missing intermediate or a root")


def _seen(host: Host) -> Iterable[Certificate]:
    """All certificates of the host's files and of what any of its ports served."""
    pems: list[str] = []
    if not isinstance(host.inside, Missing) and not isinstance(host.inside.certificates, Missing):
        for file in host.inside.certificates:
            pems += () if isinstance(file.certificates, Missing) else file.certificates
    for endpoint in host.endpoints:
        for _, look in endpoint.observations():
            if not isinstance(look.session, Missing):
                for chain in look.session.chains:
                    pems += () if isinstance(chain.intermediates, Missing) else chain.intermediates
    for pem in dict.fromkeys(pems):
        certificate = parse(pem)
        if not isinstance(certificate, Missing):
            yield certificate


def _has_signed(issuer: Certificate, subject: Certificate) -> bool:
    try:
        subject.x509.verify_directly_issued_by(issuer.x509)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _in_public_log(certificate: Certificate) -> bool:
    """RFC 6962 §3.3: proof in the certificate that a public log has it, as public CAs embed."""
    try:
        certificate.x509.extensions.get_extension_for_class(
            x509.PrecertificateSignedCertificateTimestamps
        )
    except (x509.ExtensionNotFound, ValueError):
        return False
    return True


def _trusted_with_the_rest(case: Case, _: Verdict) -> bool:
    """Whether a chain is there once what was seen elsewhere on the host is served."""
    roots = trust.store(case.host.plan.trust_store)
    if isinstance(roots, Missing):
        return False
    seen = tuple(_seen(case.host))
    for view in CHECK.views:
        for look in case.endpoint.looks(view):
            if isinstance(look.session, Missing):
                return False
            now = datetime.datetime.fromisoformat(look.observed_at)
            for each in served(look.session):
                given = (*each.intermediates(), *seen)
                if trust.chain_problem(each.leaf, given, roots, now) is not None:
                    return False
    return True


CHECK = Check(
    id="certificate-chain-incomplete",
    title="An intermediate certificate is not served",
    severity=Severity.HIGH,
    rationale="Clients know roots, not the certificates in between: one that has not met the "
    "missing one elsewhere cannot verify, so the same server works for some and fails for others.",
    references=("RFC 8446 §4.4.2", "RFC 5246 §7.4.2"),
    scope=Scope.LOOK,
    judge=_judge,
    dated=True,
    explains=(Explains(("certificate-untrusted",), when=_trusted_with_the_rest),),
    remedies=install(postfix=("Debian 12",)),
)
