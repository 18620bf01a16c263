"""An X.509 certificate as far as a judgement of a mail server's certificate needs it."""

import datetime
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from service_identity import (
    CertificateError,
    VerificationError,
)
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import stamp
from mailwitness.evidence.names import is_address


@dataclass(frozen=True, eq=False)
class Certificate:
    """The facts of one certificate; texts are as the certificate has them, so hostile input."""

    fingerprint: str  # SHA-256 of the DER form, hexadecimal: what tells it from others
    subject: str
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    names: tuple[str, ...]  # DNS names and IP addresses of subjectAltName
    self_signed: bool  # verifies with its own key, whoever it says has issued it
    x509: x509.Certificate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What a report says of it, as a JSON value: at each port and by each witness."""
        return {
            "sha256": self.fingerprint,
            "subject": self.subject,
            "issuer": self.issuer,
            "not_before": stamp(self.not_before),
            "not_after": stamp(self.not_after),
            "names": list(self.names),
        }

    @cached_property
    def key(self) -> CertificatePublicKeyTypes | Missing:
        """The public key; a certificate may hold one of a kind that is not known here."""
        try:
            return self.x509.public_key()
        except (UnsupportedAlgorithm, ValueError) as error:
            return Missing(f"the key of {self.subject}: {error}")

    @cached_property
    def signature_hash(self) -> str | Missing | None:
        """Of the issuer's signature: "sha256"; None where it has its hash built in (Ed25519)."""
        try:
            algorithm = self.x509.signature_hash_algorithm
        except (UnsupportedAlgorithm, ValueError) as error:
            return Missing(f"the signature of {self.subject}: {error}")
        return algorithm.name if algorithm else None

    def covers(self, name: str) -> bool:
        """Whether a client that wants the host `name`, or the address, may accept this.

        By RFC 9525, as RFC 7817 asks of IMAP, POP3 and submission: subjectAltName alone
        counts, a wildcard stands for the whole leftmost label. The common name that RFC 7817
        still allows is read by no current client, and so not here.
        """
        return _covers(self, name)


@lru_cache(maxsize=4096)
def _covers(certificate: Certificate, name: str) -> bool:
    verify = verify_certificate_ip_address if is_address(name) else verify_certificate_hostname
    try:
        verify(certificate.x509, name)
    except (VerificationError, CertificateError):
        return False
    return True


@lru_cache(maxsize=4096)
def parse(pem: str) -> Certificate | Missing:
    """The certificate in `pem`, or why it is none."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii", "replace"))
        return Certificate(
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            names=_names(certificate),
            self_signed=_self_signed(certificate),
            x509=certificate,
        )
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        return Missing(f"a certificate that cannot be read: {error}")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
