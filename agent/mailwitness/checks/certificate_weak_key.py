"""Keys and signatures of the served chain are as strong as the policy asks."""

from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mailwitness.checks._certificate_remedies import INSTALL
from mailwitness.checks._served import served
from mailwitness.correlate.certificate import Certificate
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    failed,
    not_applicable,
    passed,
)
from mailwitness.policy.profile import Keys


def _judge(case: Case) -> Verdict:
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    keys = case.profile.keys
    assert keys is not None  # a profile that asks for this check has them
    bad = []
    for certificate in certificates:
        for one in (certificate.leaf, *certificate.intermediates()):
            bad += [case.says(f"{one.subject}: {why}") for why in _weak(one, keys)]
    if bad:
        return failed("a key or a signature is weaker than the policy allows", bad)
    return passed(", ".join(dict.fromkeys(_named(one.leaf) for one in certificates)))


def _weak(certificate: Certificate, keys: Keys) -> Iterator[str]:
    key = _key(certificate)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < keys.rsa_bits:
        yield f"RSA key of {key.key_size} bits, less than {keys.rsa_bits}"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < keys.ec_bits:
        yield f"key on {key.curve.name}, of less than {keys.ec_bits} bits"
    elif isinstance(key, dsa.DSAPublicKey):
        yield "DSA key, which TLS has given up (RFC 9155, RFC 8446 §4.2.3)"
    # The signature of one that stands for itself protects nothing.
    if not certificate.self_signed:
        used = _hash(certificate)
        if used in keys.weak_hashes:
            yield f"signed with {used.upper()}"


def _named(certificate: Certificate) -> str:
    key = _key(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"{key.curve.name} key"
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return "Ed25519 or Ed448 key"
    size = getattr(key, "key_size", None)
    return f"{type(key).__name__.lstrip('_').removesuffix('PublicKey')} key of {size} bits"


def _key(certificate: Certificate) -> CertificatePublicKeyTypes:
    try:
        return certificate.x509.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise NotKnownError(f"the key of {certificate.subject}: {error}") from None


def _hash(certificate: Certificate) -> str | None:
    """None where the algorithm has its hash built in (Ed25519)."""
    try:
        algorithm = certificate.x509.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError) as error:
        raise NotKnownError(f"the signature of {certificate.subject}: {error}") from None
    return algorithm.name if algorithm else None


CHECK = Check(
    id="certificate-weak-key",
    title="The certificate's key or signature is weak",
    severity=Severity.HIGH,
    rationale="A short key can be computed by others, and a signature by MD5 or SHA-1 be moved "
    "to a forged certificate; current clients refuse both.",
    references=("RFC 9325 §4.5", "RFC 9155", "NIST SP 800-131A Rev. 2"),
    scope=Scope.LOOK,
    judge=_judge,
    remedies=(
        Remedy(
            "",
            "",
            "Have a new certificate issued for a new key, for example with "
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, and install it:",
        ),
        *INSTALL,
    ),
)
