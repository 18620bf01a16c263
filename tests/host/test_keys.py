import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailwitness.evidence.missing import Missing
from mailwitness.host.keys import Pair, contents, key_files
from tests.lab.certificates import Authority
from tests.lab.description import Certificate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority.at(folder / "ca")
    for name, kind in (("a", "rsa"), ("b", "rsa"), ("c", "ec")):
        authority.issue(
            Certificate(
                path=f"{name}.pem",
                key=f"{name}-key.pem",
                names=("mail.example.com",),
                kind=kind,  # type: ignore[arg-type]
                chain=True,
                self_signed=False,
                days=(-1, 1),
                after_boot=False,
            ),
            folder,
        )
    key = (folder / "a-key.pem").read_bytes()
    loaded = serialization.load_pem_private_key(key, None)
    assert isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    (folder / "locked.pem").write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    (folder / "both.pem").write_bytes(key + (folder / "a.pem").read_bytes())
    several = (folder / "c-key.pem").read_bytes() + (folder / "both.pem").read_bytes()
    (folder / "several.pem").write_bytes(several)
    os.mkfifo(folder / "fifo")
    return folder


@pytest.fixture
def matches(folder: Path) -> Callable[[str, str], bool | Missing]:
    def asked(certificate: str, key: str) -> bool | Missing:
        (found,) = key_files([Pair(str(folder / certificate), str(folder / key))])
        return found.matches

    return asked


@pytest.mark.parametrize(
    ("certificate", "key", "expected"),
    [
        ("a.pem", "a-key.pem", True),
        ("c.pem", "c-key.pem", True),
        ("both.pem", "both.pem", True),
        ("a.pem", "b-key.pem", False),
        ("a.pem", "c-key.pem", False),
    ],
)
def test_a_key_is_its_certificate_s_or_not(
    matches: Callable[[str, str], bool | Missing],
    certificate: str,
    key: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert matches(certificate, key) is expected


@pytest.mark.parametrize("key", ["locked.pem", "several.pem", "fifo", "not-there.pem", "a.pem"])
def test_what_cannot_be_told_is_not_guessed(
    matches: Callable[[str, str], bool | Missing], key: str
) -> None:
    assert isinstance(matches("a.pem", key), Missing)


def test_whose_file_it_is(folder: Path) -> None:
    (found,) = key_files([Pair(str(folder / "a.pem"), str(folder / "a-key.pem"))] * 2)
    assert found.mode == "600"
    assert found.owner


def test_contents(folder: Path) -> None:
    assert contents(str(folder / "both.pem")) == {"key", "certificate"}
    assert contents(str(folder / "a.pem")) == {"certificate"}
    assert contents(str(folder / "fifo")) == frozenset()


def test_no_key_is_in_what_is_told(folder: Path) -> None:
    secret = (folder / "b-key.pem").read_text().splitlines()[1]
    assert secret not in repr(key_files([Pair(str(folder / "a.pem"), str(folder / "b-key.pem"))]))
