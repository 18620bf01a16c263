"""A fleet like the lab's recorded hosts, in which no two hosts are alike.

What hosts of one kind share is what those of a fleet do: the release, the settings, the CA. Each
has its own names, networks, process ids, moments and certificates, wherever its evidence has them.
"""

import datetime
import json
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

RECORDED = Path(__file__).parents[1] / "tests" / "lab" / "recorded"

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\\n")
_MOMENT = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TOOK = re.compile(r'"(seconds|milliseconds)":(\d+\.\d+)')
_PID = re.compile(r'"pid":(\d+)')
_LINK_LOCAL = re.compile(r"fe80::[0-9a-f]+:")
_DOMAIN = "lab.example"

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_Edit = Callable[[str], str]


def lay_out(folder: Path, hosts: int) -> None:
    """The evidence of a run over so many."""
    plan = json.loads((RECORDED / "run.json").read_text())
    texts = [file.read_text() for file in (RECORDED / "run.json", *RECORDED.glob("*/*.json"))]
    issuers = _issuers(set(chain.from_iterable(map(_PEM.findall, texts))))
    with ProcessPoolExecutor() as pool:
        make = partial(_lay_out_host, folder, plan["hosts"], issuers)
        plan["hosts"] = list(pool.map(make, range(hosts), chunksize=16))
    (folder / "run.json").write_text(json.dumps(plan, separators=(",", ":")))


def _lay_out_host(
    folder: Path, recorded: list[dict[str, Any]], issuers: dict[bytes, "_Issuer"], number: int
) -> dict[str, Any]:
    """Writes its documents; its part of the plan."""
    like, name = recorded[number % len(recorded)], f"host{number}"
    edit = _edit(number, issuers)
    (folder / name).mkdir()
    for file in (RECORDED / like["name"]).iterdir():
        content = file.read_text().replace(f'"host":"{like["name"]}"', f'"host":"{name}"')
        (folder / name / file.name).write_text(edit(content))
    planned: dict[str, Any] = json.loads(edit(json.dumps(like)))
    return {**planned, "name": name}


def _edit(number: int, issuers: dict[bytes, "_Issuer"]) -> _Edit:
    """What makes a recorded text one of this host."""
    later = datetime.timedelta(seconds=number % 600)
    slower = 1 + number % 997 / 10_000
    domain = f"{number}.{_DOMAIN}"
    network = f"10.{number // 250}.{number % 250}."
    network_6 = f"fd6d:7769:{number + 1:x}:"

    @cache
    def certificate(pem: str) -> str:
        return _reissued(pem, issuers, domain, later)

    def edit(text: str) -> str:
        text = text.replace("10.203.0.", network).replace("fd6d:7769:746e:", network_6)
        text = _LINK_LOCAL.sub(f"fe80::{number + 1:x}:", text).replace(_DOMAIN, domain)
        text = _MOMENT.sub(lambda found: _moved(found[0], later), text)
        text = _TOOK.sub(lambda found: f'"{found[1]}":{float(found[2]) * slower:.3f}', text)
        text = _PID.sub(lambda found: f'"pid":{int(found[1]) + number}', text)
        return _PEM.sub(lambda found: certificate(found[0]), text)

    return edit


def _moved(moment: str, later: datetime.timedelta) -> str:
    moved = datetime.datetime.fromisoformat(moment) + later
    return moved.strftime("%Y-%m-%dT%H:%M:%SZ")


# Certificates: the recorded ones again, by CAs of which the keys are here.

_Issuer = tuple[bytes, str]  # the key, PKCS #8, and the certificate where it is one of a CA, PEM


def _issuers(pems: set[str]) -> dict[bytes, _Issuer]:
    """New ones in place of all that have signed, by their names: CAs, and what signed itself."""
    old = [_read(pem) for pem in pems]
    cas = [each for each in old if _is_ca(each)]
    keys: dict[bytes, _Key] = {_name(each): ec.generate_private_key(ec.SECP256R1()) for each in cas}
    for each in old:
        if each.subject == each.issuer and not _is_ca(each):
            public = each.public_key()
            assert isinstance(public, rsa.RSAPublicKey)
            keys[_name(each)] = rsa.generate_private_key(65537, public.key_size)
    new = {
        _name(each): _issue(each, keys[_name(each)].public_key(), keys[each.issuer.public_bytes()])
        for each in cas
    }
    return {name: (_pkcs8(key), new.get(name, "")) for name, key in keys.items()}


def _reissued(
    pem: str, issuers: dict[bytes, _Issuer], domain: str, later: datetime.timedelta
) -> str:
    """In the form in which it stands in JSON."""
    old = _read(pem)
    if _is_ca(old):
        return issuers[_name(old)][1]
    key = _key(issuers[old.issuer.public_bytes()][0])
    public = key.public_key() if old.issuer == old.subject else old.public_key()
    return _issue(old, public, key, domain, later)


def _issue(
    old: x509.Certificate,
    public: Any,
    signed_by: _Key,
    domain: str = _DOMAIN,
    later: datetime.timedelta = datetime.timedelta(),
) -> str:
    builder = x509.CertificateBuilder(
        issuer_name=_renamed(old.issuer, domain),
        subject_name=_renamed(old.subject, domain),
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=old.not_valid_before_utc + later,
        not_valid_after=old.not_valid_after_utc + later,
    )
    for extension in old.extensions:
        builder = builder.add_extension(
            _extension(extension.value, public, signed_by, domain), extension.critical
        )
    new = builder.sign(signed_by, hashes.SHA256())
    return new.public_bytes(serialization.Encoding.PEM).decode().replace("\n", "\\n")


def _extension(
    value: x509.ExtensionType, public: Any, signed_by: _Key, domain: str
) -> x509.ExtensionType:
    match value:
        case x509.SubjectKeyIdentifier():
            return x509.SubjectKeyIdentifier.from_public_key(public)
        case x509.AuthorityKeyIdentifier():
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key())
        case x509.SubjectAlternativeName():
            names = value.get_values_for_type(x509.DNSName)
            renamed = [x509.DNSName(name.replace(_DOMAIN, domain)) for name in names]
            return x509.SubjectAlternativeName(renamed)
        case _:
            return value


def _renamed(name: x509.Name, domain: str) -> x509.Name:
    return x509.Name(
        x509.NameAttribute(each.oid, str(each.value).replace(_DOMAIN, domain)) for each in name
    )


def _read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.replace("\\n", "\n").encode())


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _name(certificate: x509.Certificate) -> bytes:
    return certificate.subject.public_bytes()


def _pkcs8(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@cache
def _key(pkcs8: bytes) -> _Key:
    key = serialization.load_der_private_key(pkcs8, None)
    assert isinstance(key, _Key)
    return key
