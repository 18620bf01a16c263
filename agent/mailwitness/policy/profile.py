"""Profiles: who asks for what, and the paragraph that says so. Numbers are data, not code."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

# The first of all versions to the last, as Dovecot and Postfix spell them.
VERSIONS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

# The numbers that a check needs of the policy that asks for it.
_TABLES = {
    "certificate-weak-key": "keys",
    "tls-weak-cipher": "ciphers",
    "tls-weak-key-exchange": "key_exchange",
}

DEFAULT_POLICIES = ("mailbox-connector-2017", "rfc")


class ProfileError(Exception):
    """A policy that does not exist, or whose file is not right; says which and where."""


@dataclass(frozen=True)
class Tls:
    """Bounds of TLS versions."""

    minimum: str  # at least one version from here on must be offered
    forbidden: tuple[str, ...]  # none of these may be offered


@dataclass(frozen=True)
class Keys:
    """The weakest keys and signatures of certificates that are good enough."""

    rsa_bits: int
    ec_bits: int
    weak_hashes: tuple[str, ...]  # hashes that no signature may rest on: "sha1"


@dataclass(frozen=True)
class Ciphers:
    """Encryption that is too weak."""

    weak: tuple[str, ...]  # words in the names of suites between underscores: "RC4"


@dataclass(frozen=True)
class KeyExchange:
    """Key exchange that is too weak."""

    weak: tuple[str, ...]  # what stands before "_WITH_" in the names of suites: "DH_anon"
    weak_groups: tuple[str, ...]
    prime_bits: int  # the smallest prime of finite-field Diffie-Hellman that is good enough
    weak_hashes: tuple[str, ...]  # that no signature under a key exchange may rest on: "sha1"


@dataclass(frozen=True)
class Eligibility:
    """When a client with these requirements can connect at all."""

    needs: tuple[str, ...]  # checks that must pass on an IMAP and on a submission port
    exceptions: tuple[str, ...]  # checks whose failure an explicit exception may overrule


@dataclass(frozen=True)
class Profile:
    """One policy: a document, and what it asks of a mail host."""

    id: str
    title: str
    source: str
    edition: str
    tls: Tls
    keys: Keys | None  # None: it has no say on certificate-weak-key
    ciphers: Ciphers | None  # None: no say on tls-weak-cipher
    key_exchange: KeyExchange | None  # None: no say on tls-weak-key-exchange
    requires: Mapping[str, str]  # check id to the paragraph that asks for it
    relay_requires: Mapping[str, str]  # the same for port 25
    eligibility: Eligibility | None

    def paragraph(self, check: str, *, relay: bool) -> str | None:
        """Where the document asks for this check; None where it does not."""
        return (self.relay_requires if relay else self.requires).get(check)


def names() -> tuple[str, ...]:
    """The ids of all profiles, sorted."""
    files = resources.files(__package__).joinpath("profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


@lru_cache(maxsize=64)
def load(name: str) -> Profile:
    """The profile of that id.

    Raises:
        ProfileError: there is none, or its file does not have the form of a profile.
    """
    if name not in names():
        raise ProfileError(f"no policy {name!a}; there are: {', '.join(names())}")
    text = resources.files(__package__).joinpath("profiles", f"{name}.toml").read_text("utf-8")
    try:
        return _profile(name, tomllib.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"policy {name}: {error}") from error


def _profile(name: str, table: Mapping[str, Any]) -> Profile:
    tls, keys, eligibility = table["tls"], table.get("keys"), table.get("eligibility")
    ciphers, exchange = table.get("ciphers"), table.get("key_exchange")
    for check, name_of_table in _TABLES.items():
        if check in table["requires"] and name_of_table not in table:
            raise ValueError(f"{check} is required, and there is no table [{name_of_table}]")
    for version in (tls["minimum"], *tls["forbidden"]):
        if version not in VERSIONS:
            raise ValueError(f"tls: {version!a} is none of {', '.join(VERSIONS)}")
    return Profile(
        id=name,
        title=table["title"],
        source=table["source"],
        edition=table["edition"],
        tls=Tls(tls["minimum"], tuple(tls["forbidden"])),
        keys=keys and Keys(keys["rsa_bits"], keys["ec_bits"], tuple(keys["weak_hashes"])),
        ciphers=ciphers and Ciphers(tuple(ciphers["weak"])),
        key_exchange=exchange
        and KeyExchange(
            tuple(exchange["weak"]),
            tuple(exchange["weak_groups"]),
            exchange["prime_bits"],
            tuple(exchange["weak_hashes"]),
        ),
        requires=table["requires"],
        relay_requires=table.get("relay", {}).get("requires", {}),
        eligibility=eligibility
        and Eligibility(tuple(eligibility["needs"]), tuple(eligibility["exceptions"])),
    )
