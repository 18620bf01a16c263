"""A lab host as its folder describes it: ``hosts/<name>/host.toml`` and ``files/``.

``host.toml``::

    purpose = "one sentence"
    suite = "bookworm"
    address = 11                    # last part of its addresses
    groups = ["mail"]               # of the inventory
    names = ["good.lab.example"]    # what clients call it
    boot = true                     # false: it is in the inventory, and nothing is there
    ready = [25, 143]               # ports that must listen before the host counts as up
    prepare = ["postconf -e …"]     # commands in its file system before it boots
    after_boot = ["sed -i …"]       # commands in it once it is up

    [[allowlist]]                   # entries of mailwitness_allowlists
    name = "crm"
    ports = [993]
    cidrs = ["198.51.100.0/24"]
    exclusive = true

    [[upstream]]                    # what stands in front of it, by IPv4
    vantage = "outpost"             # whose connections
    ports = [993]
    does = "drop"                   # or "hide": they arrive from the gateway's address

    [login]                         # how Ansible logs in; default: root
    user = "audit"
    sudo = "password"               # or "none"

    [[certificate]]                 # `days`: from and to, counted from now
    path = "/etc/ssl/mail/fullchain.pem"
    key = "/etc/ssl/mail/privkey.pem"
    names = ["good.lab.example"]
    kind = "rsa"                    # or "rsa-1024", "ec"
    chain = true                    # false: without the intermediate that signed it
    self_signed = false
    days = [-10, 80]
    after_boot = false              # true: a renewal that the daemons are not told of

    [[expect]]                      # the failures that an audit must find, and no others
    check = "certificate-not-reloaded"
    endpoints = ["imap:143", "imaps:993"]
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

HOSTS = Path(__file__).parent / "hosts"


@dataclass(frozen=True)
class Certificate:
    """A certificate that the lab issues into a host."""

    path: str
    key: str
    names: tuple[str, ...]
    kind: Literal["rsa", "rsa-1024", "ec"]
    chain: bool
    self_signed: bool
    days: tuple[int, int]
    after_boot: bool


@dataclass(frozen=True)
class Upstream:
    """What happens to connections before they reach a host."""

    vantage: str
    ports: tuple[int, ...]
    does: Literal["drop", "hide"]


@dataclass(frozen=True)
class Description:
    """One host."""

    name: str
    purpose: str
    suite: str
    address: int
    groups: tuple[str, ...]
    names: tuple[str, ...]
    boot: bool
    ready: tuple[int, ...]
    prepare: tuple[str, ...]
    after_boot: tuple[str, ...]
    user: str
    sudo: Literal["password", "none"]
    certificates: tuple[Certificate, ...]
    allowlists: tuple[dict[str, Any], ...]
    upstream: tuple[Upstream, ...]
    expected: frozenset[tuple[str, str | None]]  # check and endpoint; None: of the host
    files: Path

    @property
    def ipv4(self) -> str:
        """Its address on the lab's bridge."""
        return f"10.203.0.{self.address}"

    @property
    def ipv6(self) -> str:
        """The same number in the lab's unique local prefix (RFC 4193)."""
        return f"fd6d:7769:746e::{self.address}"


def all_hosts() -> dict[str, Description]:
    """Every host that has a folder, by name."""
    return {path.parent.name: _read(path) for path in sorted(HOSTS.glob("*/host.toml"))}


def _read(path: Path) -> Description:
    table = tomllib.loads(path.read_text())
    login = table.get("login", {})
    return Description(
        name=path.parent.name,
        purpose=table["purpose"],
        suite=table["suite"],
        address=table["address"],
        groups=tuple(table["groups"]),
        names=tuple(table.get("names", ())),
        boot=table.get("boot", True),
        ready=tuple(table.get("ready", ())),
        prepare=tuple(table.get("prepare", ())),
        after_boot=tuple(table.get("after_boot", ())),
        user=login.get("user", "root"),
        sudo=login.get("sudo", "none"),
        certificates=tuple(_certificate(entry) for entry in table.get("certificate", ())),
        allowlists=tuple(table.get("allowlist", ())),
        upstream=tuple(
            Upstream(entry["vantage"], tuple(entry["ports"]), entry["does"])
            for entry in table.get("upstream", ())
        ),
        expected=frozenset(
            (entry["check"], endpoint)
            for entry in table.get("expect", ())
            for endpoint in entry.get("endpoints", [None])
        ),
        files=path.parent / "files",
    )


def _certificate(entry: dict[str, Any]) -> Certificate:
    return Certificate(
        path=entry["path"],
        key=entry["key"],
        names=tuple(entry["names"]),
        kind=entry.get("kind", "rsa"),
        chain=entry.get("chain", True),
        self_signed=entry.get("self_signed", False),
        days=tuple(entry.get("days", (-10, 80))),
        after_boot=entry.get("after_boot", False),
    )
