"""The size of DH parameters: files as openssl(1) writes them, and what pretends to be one."""

import base64
import subprocess
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.host.dh_parameters import dh_bits


def pem(der: bytes) -> str:
    block = base64.encodebytes(der).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{block}-----END DH PARAMETERS-----\n"


@pytest.mark.parametrize("bits", [512, 1024])
def test_of_files_that_openssl_makes(bits: int, tmp_path: Path) -> None:
    file = tmp_path / "dh.pem"
    command = ["openssl", "dhparam", "-dsaparam", "-out", str(file), str(bits)]
    subprocess.run(command, check=True, capture_output=True)
    assert dh_bits(str(file)) == bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        pem(b""),
        pem(b"\x30"),
        pem(b"\x30\x80"),
        pem(b"\x30\x84\xff\xff\xff\xff\x02\x01\x05"),
        pem(b"\x30\x03\x04\x01\x05"),
        pem(b"\x30\x03\x02\x09\x05"),
        pem(b"x").replace("e", "=="),
        "-----BEGIN PRIVATE KEY-----\nMAMCAQU=\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_none_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dh.pem"
    file.write_text(text)
    found = dh_bits(str(file))
    assert isinstance(found, Missing)
    assert str(file) in found.reason
    assert "MAMCAQU" not in found.reason


def test_what_is_no_file(tmp_path: Path) -> None:
    assert isinstance(dh_bits(str(tmp_path)), Missing)
    assert isinstance(dh_bits(str(tmp_path / "none")), Missing)
