"""Profiles: who asks for what, and the paragraph that says so. Numbers are data, not code."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

from mailwitness.evidence.probe import VERSIONS

DEFAULT_POLICIES = ("mailbox-connector-2017", "rfc")

# Where a paragraph comes from: the document itself, somebody's account of it, or memory.
Read = Literal["source", "secondary", "recalled"]


class ProfileError(Exception):
    """A policy that does not exist, or whose file is not right; says which file and key."""


@dataclass(frozen=True)
class Tls:
    """Bounds of TLS versions."""

    minimum: str  # at least one version from here on must be offered
    forbidden: tuple[str, ...]  # none of these may be offered
    phase_out: tuple[str, ...] = ()  # still allowed, and to be given up: a failure of low severity
    good: tuple[str, ...] = ()  # where a document grades what it allows: the best of it
    required: tuple[str, ...] = ()  # each of these must be offered

    def __post_init__(self) -> None:
        named = (self.minimum, *self.forbidden, *self.phase_out, *self.good, *self.required)
        for version in named:
            if version not in VERSIONS:
                raise ValueError(f"{version!a} is none of {', '.join(VERSIONS)}")
        for key, versions in (("minimum", (self.minimum,)), ("required", self.required)):
            for version in versions:
                if version in self.forbidden:
                    raise ValueError(f"{key}: {version} is forbidden")

    def grade(self, version: str) -> str:
        """A word for a version, in the document's own grades where it has them; else nothing."""
        if not self.good:
            return ""
        if version in self.forbidden:
            return "insufficient"
        if version in self.phase_out:
            return "phase out"
        return "good" if version in self.good else "sufficient"


@dataclass(frozen=True)
class Keys:
    """The weakest keys and signatures of certificates that are good enough."""

    rsa_bits: int
    ec_bits: int
    weak_hashes: tuple[str, ...]  # hashes that no signature may rest on: "sha1"
    types: tuple[str, ...] = ("rsa", "ec", "ed25519", "ed448")  # what a server's key may be
    # Below these it is still allowed, and to be given up: a failure of low severity.
    rsa_bits_phase_out: int = 0
    ec_bits_phase_out: int = 0
    phase_out_hashes: tuple[str, ...] = ()


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
class Citation:
    """Where a number or a requirement stands."""

    paragraph: str
    read: Read

    def __str__(self) -> str:
        return self.paragraph if self.read == "source" else f"{self.paragraph} [{self.read}]"


@dataclass(frozen=True)
class Profile:
    """One policy: a document, and what it asks of a mail host."""

    id: str
    title: str
    source: str
    edition: str
    date: str  # of the edition: "2022-11"
    tls: Tls
    keys: Keys | None  # None: it has no say on keys and signatures
    ciphers: Ciphers | None  # None: no say on tls-weak-cipher
    key_exchange: KeyExchange | None  # None: no say on tls-weak-key-exchange
    requires: Mapping[str, Citation]  # by check id
    relay_requires: Mapping[str, Citation]  # the same for port 25
    relay_why: str  # why port 25 is judged so
    eligibility: Eligibility | None
    citations: Mapping[str, Citation]  # of each number: "tls.minimum"
    not_judged: tuple[str, ...]  # what the document asks and nothing here does

    def paragraph(self, check: str, *, relay: bool) -> Citation | None:
        """Where the document asks for this check; None where it does not."""
        return (self.relay_requires if relay else self.requires).get(check)

    def asked(self) -> frozenset[str]:
        """All check ids that it names."""
        needs = (*self.eligibility.needs, *self.eligibility.exceptions) if self.eligibility else ()
        return frozenset((*self.requires, *self.relay_requires, *needs))


def names() -> tuple[str, ...]:
    """The ids of the policies that come with the program, sorted."""
    files = resources.files(__package__).joinpath("profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load(name: str, own: Path | None = None) -> Profile:
    """The profile of that id, or in that file.

    Args:
        name: a policy that comes with the program, one of the folder `own`, or the path of a
            file that ends in .toml.
        own: where further policies lie, as <name>.toml.

    Raises:
        ProfileError: there is none, or its file does not have the form of a profile.
    """
    if name in names():
        return _packaged(name)
    file = Path(name) if name.endswith(".toml") else own and own / f"{name}.toml"
    if file is None or (not name.endswith(".toml") and not file.is_file()):
        raise ProfileError(
            f"no policy {name!a}; there are: {', '.join(names())}, and files that end in .toml"
        )
    if file.stem in names():
        raise ProfileError(f"{file}: {file.stem} is a policy of its own; name the file otherwise")
    try:
        return _profile(file.stem, str(file), file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file}: {getattr(error, 'strerror', None) or error}") from None


@lru_cache(maxsize=64)
def _packaged(name: str) -> Profile:
    return _profile(name, f"policy {name}", _packaged_text(name))


def _packaged_text(name: str) -> str:
    return resources.files(__package__).joinpath("profiles", f"{name}.toml").read_text("utf-8")


def _profile(name: str, where: str, text: str) -> Profile:
    return _built(name, _Table(where, "", _extended(where, _parsed(where, text))))


def _parsed(where: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{where}: not TOML: {error}") from None


def _extended(where: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table over that of the policy which it extends, key by key; `false` takes one away."""
    base = table.pop("extends", None)
    if base is None:
        return table
    if base not in names():
        raise ProfileError(f"{where}: extends: no policy {base!a}; there are: {', '.join(names())}")
    its = _parsed(base, _packaged_text(base))
    return _merged(_extended(f"policy {base}", its), table)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base}
    for key, value in over.items():
        before = base.get(key)
        number = isinstance(value, dict) and "is" in value
        if isinstance(before, dict) and isinstance(value, dict) and not number:
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return {key: value for key, value in merged.items() if value is not False}


class _Table:
    """A table of the file, read key by key; what nobody asked for is an error, and so is a gap."""

    def __init__(self, where: str, path: str, value: object) -> None:
        if not isinstance(value, dict):
            raise ProfileError(f"{where}: {path}: a table is expected")
        self._where, self._path, self._value, self._asked = where, path, value, set[str]()

    def error(self, key: str, problem: str) -> ProfileError:
        """With the file and the whole way to the key."""
        return ProfileError(f"{self._where}: {f'{self._path}.{key}'.strip('.')}: {problem}")

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key) if default is None or self.has(key) else default
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text is expected")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        return self._texts(key, self._take(key)) if self.has(key) else ()

    def table(self, key: str) -> "_Table":
        path = f"{self._path}.{key}".strip(".")
        return _Table(self._where, path, self._take(key) if self.has(key) else {})

    def criteria(self, kind: type[Any], citations: dict[str, Citation]) -> Any:
        """A record of numbers; each stands as {is = …, paragraph = "…"}, its citation beside it."""
        hints = get_type_hints(kind)
        values: dict[str, Any] = {}
        for its in fields(kind):
            if its.default is not MISSING and not self.has(its.name):
                continue
            number = self.table(its.name)
            if not self._value.get(its.name):
                raise self.error(its.name, "is not there")
            values[its.name] = number.value(hints[its.name])
            citations[f"{self._path}.{its.name}"] = number.citation()
            number.done()
        self.done()
        try:
            return kind(**values)
        except ValueError as error:
            raise ProfileError(f"{self._where}: {self._path}: {error}") from None

    def value(self, kind: Any) -> Any:
        """What stands beside `is`."""
        value = self._take("is")
        if kind is int:
            if type(value) is not int or value < 0:
                raise self.error("is", "a whole number is expected")
            return value
        return self.text("is") if kind is str else self._texts("is", value)

    def citation(self) -> Citation:
        """The paragraph, and how it was come by."""
        read = self.text("read", "source")
        if read not in get_args(Read):
            raise self.error("read", f"{read!a} is none of {', '.join(get_args(Read))}")
        return Citation(self.text("paragraph"), cast("Read", read))

    def requirements(self) -> dict[str, Citation]:
        """Check ids with their paragraphs: a text, or {paragraph = "…", read = "…"}."""
        found = {}
        for key, value in self._value.items():
            self._asked.add(key)
            if isinstance(value, dict):
                its = self.table(key)
                found[key] = its.citation()
                its.done()
            else:
                found[key] = Citation(self.text(key), "source")
        return found

    def done(self) -> None:
        """Nothing is left over that nobody asked for."""
        for key in self._value:
            if key not in self._asked:
                there = ", ".join(sorted(self._asked))
                raise self.error(key, f"no such key; there are: {there}")

    def _take(self, key: str) -> object:
        if not self.has(key):
            raise self.error(key, "is not there")
        value: object = self._value[key]
        return value

    def _texts(self, key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "a list of texts is expected")
        return tuple(value)


def _built(name: str, table: _Table) -> Profile:
    citations: dict[str, Citation] = {}
    relay, eligible = table.table("relay"), None
    if table.has("eligibility"):
        its = table.table("eligibility")
        eligible = Eligibility(its.texts("needs"), its.texts("exceptions"))
        its.done()
    tables = {"keys": Keys, "ciphers": Ciphers, "key_exchange": KeyExchange}
    numbers = {
        key: table.table(key).criteria(kind, citations) if table.has(key) else None
        for key, kind in tables.items()
    }
    profile = Profile(
        id=name,
        title=table.text("title"),
        source=table.text("source"),
        edition=table.text("edition"),
        date=table.text("date"),
        tls=table.table("tls").criteria(Tls, citations),
        **numbers,
        requires=table.table("requires").requirements(),
        relay_requires=relay.table("requires").requirements(),
        relay_why=relay.text("why"),
        eligibility=eligible,
        citations=citations,
        not_judged=table.texts("not_judged"),
    )
    relay.done()
    table.done()
    return profile
