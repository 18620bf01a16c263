"""Certificates of kinds that are not known here: hostile, or newer than what reads them."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailwitness.correlate import configured
from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.codec import loads
from mailwitness.evidence.folder import host_file
from mailwitness.evidence.host import CertificateFile, HostEvidence, KeyFile
from mailwitness.evidence.missing import Missing
from tests.lab.audit import RECORDED

_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")


def certificate(old: bytes, new: bytes) -> str:
    """A self-signed one, with one object identifier turned into another of its length."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.com")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    changed = made.public_bytes(serialization.Encoding.DER).replace(old, new)
    loaded = x509.load_der_x509_certificate(changed)
    return loaded.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(params=["key", "signature"])
def unknown(request: pytest.FixtureRequest) -> str:
    old = {"key": _EC_PUBLIC_KEY, "signature": _ECDSA_SHA256}[request.param]
    return certificate(old, old[:-1] + b"\x7f")


def test_what_is_not_known_of_it_is_missing(unknown: str) -> None:
    found = parse(unknown)
    assert isinstance(found, Certificate)
    assert isinstance(found.key, Missing) or isinstance(found.signature_hash, Missing)


def test_a_listener_that_is_set_to_it_is_still_laid_out(unknown: str) -> None:
    recorded = loads(host_file(RECORDED, "good").read_bytes(), HostEvidence)
    path = "/etc/ssl/mail/fullchain.pem"
    file = CertificateFile(path, "2024-01-01T00:00:00Z", (unknown,))
    key = KeyFile("/etc/ssl/mail/privkey.pem", path, "root", "600", matches=True)
    host = HostEvidence(**{**vars(recorded), "certificates": (file,), "keys": (key,)})
    setting = configured.configured(host, 993)
    assert isinstance(setting, Configured)
    assert isinstance(setting.offer.versions, Missing)
    assert "mail.example.com" in setting.offer.versions.reason
