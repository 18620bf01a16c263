"""Keys and signatures of the served chain are as strong as the policy asks."""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import served
from mailwitness.correlate.certificate import Certificate
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    failed,
    known,
    not_applicable,
    passed,
)
from mailwitness.policy.profile import Keys

# As `keys.types` of a profile names them.
_TYPES: dict[str, type[CertificatePublicKeyTypes]] = {
    "rsa": rsa.RSAPublicKey,
    "ec": ec.EllipticCurvePublicKey,
    "ed25519": ed25519.Ed25519PublicKey,
    "ed448": ed448.Ed448PublicKey,
}


def _judge(case: Case) -> Verdict:
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    keys = case.profile.keys
    assert keys is not None  # by `criteria` below
    bad, aging = [], []
    for certificate in certificates:
        other = _other_type(certificate.leaf, keys)
        bad += [case.says(f"{certificate.leaf.subject}: {other}")] if other else []
        for one in (certificate.leaf, *certificate.intermediates()):
            bad += [case.says(f"{one.subject}: {why}") for why in _weak(one, _bounds(keys))]
            aging += [case.says(f"{one.subject}: {why}") for why in _weak(one, _phasing_out(keys))]
    if bad:
        return failed("a key or a signature is weaker than the policy allows", bad)
    if aging:
        return failed("a key or a signature that is to be phased out", aging, Severity.LOW)
    return passed(", ".join(dict.fromkeys(_named(one.leaf) for one in certificates)))


@dataclass(frozen=True)
class _Bounds:
    rsa_bits: int
    ec_bits: int
    hashes: tuple[str, ...]


def _bounds(keys: Keys) -> _Bounds:
    return _Bounds(keys.rsa_bits, keys.ec_bits, keys.weak_hashes)


def _phasing_out(keys: Keys) -> _Bounds:
    return _Bounds(keys.rsa_bits_phase_out, keys.ec_bits_phase_out, keys.phase_out_hashes)


def _other_type(certificate: Certificate, keys: Keys) -> str | None:
    """Of a server's own key alone: which its issuer has, the server cannot choose."""
    key = known(certificate.key)
    for name, kind in _TYPES.items():
        if isinstance(key, kind) and name not in keys.types:
            return f"{name.upper()} key, where the policy has {', '.join(keys.types).upper()} alone"
    return None


def _weak(certificate: Certificate, bounds: _Bounds) -> Iterator[str]:
    key = known(certificate.key)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < bounds.rsa_bits:
        yield f"RSA key of {key.key_size} bits, less than {bounds.rsa_bits}"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < bounds.ec_bits:
        yield f"key on {key.curve.name}, of less than {bounds.ec_bits} bits"
    elif isinstance(key, dsa.DSAPublicKey):
        yield "DSA key, which TLS has given up (RFC 9155, RFC 8446 §4.2.3)"
    # The signature of one that stands for itself protects nothing.
    if not certificate.self_signed:
        used = known(certificate.signature_hash)
        if used in bounds.hashes:
            yield f"signed with {used.upper()}"


def _named(certificate: Certificate) -> str:
    key = known(certificate.key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"{key.curve.name} key"
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return "Ed25519 or Ed448 key"
    size = getattr(key, "key_size", None)
    return f"{type(key).__name__.lstrip('_').removesuffix('PublicKey')} key of {size} bits"


CHECK = Check(
    id="certificate-weak-key",
    title="The certificate's key or signature is weak",
    severity=Severity.HIGH,
    rationale="A short key can be computed by others, and a signature by MD5 or SHA-1 be moved "
    "to a forged certificate; current clients refuse both.",
    references=("RFC 9325 §4.5", "RFC 9155", "NIST SP 800-131A Rev. 2"),
    scope=Scope.LOOK,
    judge=_judge,
    criteria="keys",
    remedies=(
        Remedy(
            "",
            "",
            "Have a new certificate issued for a new key, for example with "
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, and install it:",
        ),
        *install(postfix=("Debian 12",)),
    ),
)
