"""The lab's certificate authority: a root that clients trust, an intermediate that signs."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.lab.description import Certificate

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_KEYS: Mapping[str, Callable[[], _Key]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
}

# RFC 2409 §6.2: a prime of 1024 bits.
OAKLEY_GROUP_2 = """\
-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""


@dataclass(frozen=True)
class Authority:
    """A root and its intermediate, kept in the lab's folder."""

    folder: Path

    @property
    def root(self) -> Path:
        """The PEM file that goes into a client's trust store."""
        return self.folder / "root.pem"

    @classmethod
    def at(cls, folder: Path) -> "Authority":
        """The authority of that folder, made where there is none yet."""
        authority = cls(folder)
        if not (folder / "intermediate-key.pem").exists():
            folder.mkdir(parents=True, exist_ok=True)
            root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
            root_name, name = _name("mailwitness lab root"), _name("mailwitness lab intermediate")
            root = _certificate(root_name, root_key, root_name, root_key, (-30, 3650), ca=True)
            intermediate = _certificate(name, key, root_name, root_key, (-30, 1800), ca=True)
            authority.root.write_bytes(_pem(root))
            (folder / "intermediate.pem").write_bytes(_pem(intermediate))
            (folder / "intermediate-key.pem").write_bytes(_key_pem(key))
            (folder / "intermediate-key.pem").chmod(0o600)
        return authority

    def issue(self, wanted: Certificate, root: Path) -> None:
        """Put a new key and certificate into the file system at `root`, where `wanted` says."""
        key = _KEYS[wanted.kind]()
        name = _name(wanted.names[0])
        if wanted.self_signed:
            chain = _pem(_certificate(name, key, name, key, wanted.days, names=wanted.names))
        else:
            intermediate = (self.folder / "intermediate.pem").read_bytes()
            issuer = x509.load_pem_x509_certificate(intermediate).subject
            issuer_key = serialization.load_pem_private_key(
                (self.folder / "intermediate-key.pem").read_bytes(), None
            )
            assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
            leaf = _certificate(name, key, issuer, issuer_key, wanted.days, names=wanted.names)
            chain = _pem(leaf) + (intermediate if wanted.chain else b"")
        for path, content, mode in (
            (wanted.path, chain, 0o644),
            (wanted.key, _key_pem(key), 0o600),
        ):
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(mode)


def _certificate(
    subject: x509.Name,
    key: _Key,
    issuer: x509.Name,
    issuer_key: _Key,
    days: tuple[int, int],
    *,
    names: tuple[str, ...] = (),
    ca: bool = False,
) -> x509.Certificate:
    # The identifiers and the uses that strict clients ask for, RFC 5280 4.2.1 (Python's own
    # default from 3.13 on).
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            _usage(ca=ca, encipherment=isinstance(key, rsa.RSAPrivateKey)), critical=True
        )
        .add_extension(identifier, critical=False)
        .add_extension(issuer_identifier, critical=False)
    )
    if names:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(purpose, critical=False)
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, ca: bool, encipherment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
