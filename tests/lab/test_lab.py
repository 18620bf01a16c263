"""The lab itself: what it refuses, what it ends, and that its hosts serve what they claim."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.lab import cgroup, network, suites
from tests.lab.audit import ROOT
from tests.lab.certificates import Authority
from tests.lab.description import Certificate, all_hosts
from tests.lab.errors import LabError
from tests.lab.lab import Lab, unavailable


def served(address: str, port: int) -> str:
    return ssl.get_server_certificate((address, port))


def on_disk(lab: Lab, host: str, path: str) -> str:
    pem = lab.machine(host).run(("cat", path)).stdout
    return pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"


def test_no_two_hosts_share_an_address() -> None:
    hosts = all_hosts().values()
    assert len({host.address for host in hosts}) == len(hosts)
    assert {host.suite for host in hosts} == set(suites.SUITES)


@pytest.mark.parametrize(
    "sources",
    [
        "deb http://mirror.example/debian bookworm main",
        "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main\n",
        "Types: deb\nSuites: bookworm\nURIs: http://mirror.example/debian",
        "URIs: http://mirror.example/debian-security\nURIs: http://mirror.example/debian\n",
    ],
)
def test_the_archive_is_the_one_of_this_machine(
    sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "_sources", lambda: iter([sources]))
    assert suites._mirror() == "http://mirror.example/debian"


def test_without_an_archive_of_debian_it_is_debians_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "_sources", lambda: iter(["URIs: http://mirror.example/ubuntu\n"]))
    assert suites._mirror() == "http://deb.debian.org/debian"


def test_without_root_there_is_no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in (unavailable() or "")


def test_another_folders_lab_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_DEVICE", tmp_path)
    network.claim(tmp_path / "mine")
    (tmp_path / "ifalias").write_text("/elsewhere/.lab\n")
    network.claim(Path("/elsewhere/.lab"))
    with pytest.raises(LabError, match=r"--state /elsewhere/\.lab down"):
        network.claim(tmp_path / "mine")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_strict_clients_trust_the_chain(kind: Literal["rsa", "ec"], tmp_path: Path) -> None:
    authority = Authority.at(tmp_path / "ca")
    wanted = Certificate(
        path="chain.pem",
        key="key.pem",
        names=("good.lab.example",),
        kind=kind,
        chain=True,
        self_signed=False,
        days=(-1, 1),
        after_boot=False,
    )
    authority.issue(wanted, tmp_path)
    chain = tmp_path / "chain.pem"
    done = subprocess.run(
        (
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *("-verify_hostname", "good.lab.example"),
            *("-CAfile", authority.root, "-untrusted", chain, chain),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.lab
def test_stale_serves_what_is_no_longer_on_disk(lab: Lab) -> None:
    file = on_disk(lab, "stale", "/etc/ssl/dovecot/fullchain.pem")
    assert served(lab.hosts["stale"].ipv4, 993) != file


@pytest.mark.lab
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_proxied_is_behind_its_proxy_by_both_families(lab: Lab, family: str) -> None:
    address = getattr(lab.hosts["proxied"], family)
    assert served(address, 993) == on_disk(lab, "proxied", "/etc/ssl/proxy/fullchain.pem")
    assert on_disk(lab, "proxied", "/etc/ssl/mail/fullchain.pem") != served(address, 993)


@pytest.mark.lab
def test_a_command_in_a_host_keeps_its_words_and_not_our_environment(lab: Lab) -> None:
    shell = (sys.executable, "-m", "tests.lab", "--state", lab.state, "shell", "good", "--")
    done = subprocess.run(
        (*shell, "sh", "-c", 'echo "$@" $SSL_CERT_FILE', "sh", "--", "x"),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "SSL_CERT_FILE": "/of/this/machine"},
    )
    assert done.stdout == "-- x\n"


@pytest.mark.lab
def test_one_lab_is_up_at_a_time(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path)
    with pytest.raises(LabError, match=re.escape(str(lab.state))):
        other.up(["good"])
    with pytest.raises(LabError, match=re.escape(str(lab.state))):
        other.down()
    assert lab.machine("good").is_up()
    assert not list(tmp_path.iterdir())


@pytest.mark.lab
def test_a_host_that_lost_its_container_is_ended_and_boots_again(lab: Lab) -> None:
    machine = lab.machine("outpost")
    init = machine._init()
    os.kill(int((machine.folder / "pid").read_text()), signal.SIGKILL)
    while machine.is_up():
        time.sleep(0.05)
    lab.up(["outpost"])
    assert machine.is_up()
    assert init not in cgroup.members(machine._group)
