"""A check: an object that says what it asks and why, and a pure function that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from mailwitness.correlate.endpoint import Endpoint, Look, View
from mailwitness.correlate.host import Host
from mailwitness.evidence.host import Software
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Session
from mailwitness.policy.outcome import Outcome, Severity, Verdict, Witness, known
from mailwitness.policy.profile import Profile
from mailwitness.policy.waiver import State, Waiver


class Scope(Enum):
    """What a check is asked about; the engine calls it once for each."""

    HOST = "host"
    ENDPOINT = "endpoint"
    LOOK = "look"  # each conversation with an endpoint; the engine folds the answers into one
    WAIVERS = "waivers"  # those that name a host, when all failures have met their waivers


# What stands in a remedy for files on the host that only its reader can name: a certificate with
# its intermediates, and the key to it.
NEW_CHAIN, NEW_KEY = "/path/fullchain.pem", "/path/privkey.pem"
# And for the service of Postfix's master.cf that has the port.
SERVICE = "SERVICE/inet"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:\[\]-]+")


@dataclass(frozen=True)
class Remedy:
    """What to type on the host, for a product and a range of its versions (PEP 440, "" is all).

    `settings` are what `mailwitness remedy` can write into a playbook: for dovecot lines of its
    configuration, for postfix calls of postconf without its name. One without any takes a `reload`
    or a `restart` alone.
    """

    product: str
    versions: str
    text: str
    settings: tuple[str, ...] = ()
    reload: bool = False
    restart: bool = False  # and started with the host from now on
    after: tuple[str, ...] = ()  # failures of these checks have to be cured first
    proven: tuple[str, ...] = ()  # the releases on which a lab host was cured by it

    @property
    def by_playbook(self) -> bool:
        """Whether `mailwitness remedy` can write it as tasks."""
        return bool(self.settings) or self.reload or self.restart

    def of_service(self, name: str) -> "Remedy":
        """The same for this service; of one with a strange name the reader has to fill it in."""
        if not _PLAIN_NAME.fullmatch(name):
            return self
        return replace(
            self,
            text=self.text.replace(SERVICE, f"{name}/inet"),
            settings=tuple(setting.replace(SERVICE, f"{name}/inet") for setting in self.settings),
        )

    def fits(self, software: tuple[Software, ...]) -> bool:
        """Whether the host has this product in such a version; what is unknown fits."""
        if not self.product:
            return True
        stated = [item.version for item in software if item.product == self.product]
        if not stated:
            return not software
        try:
            return any(
                isinstance(version, Missing) or _is_of(version, self.versions) for version in stated
            )
        except InvalidVersion:
            return True


@lru_cache(maxsize=4096)  # a fleet has few versions
def _is_of(version: str, versions: str) -> bool:
    return Version(version) in SpecifierSet(versions)


@dataclass(slots=True)  # not frozen, which takes twice the time: a host has hundreds of them
class Case:
    """What is under judgement: a host and, as the scope of the check has it, more."""

    _host: Host | None
    _profile: Profile | None = None
    _endpoint: Endpoint | None = None
    _look: Look | None = None
    waivers: tuple[tuple[Waiver, State], ...] = ()  # that name the host, for Scope.WAIVERS

    @property
    def host(self) -> Host:
        """Of all checks but those of waivers."""
        assert self._host is not None
        return self._host

    @property
    def endpoint(self) -> Endpoint:
        """Of checks that are asked about endpoints."""
        assert self._endpoint is not None
        return self._endpoint

    @property
    def look(self) -> Look:
        """Of checks that are asked about each conversation."""
        assert self._look is not None
        return self._look

    def by(self, profile: Profile) -> "Case":
        """The same by this profile."""
        return Case(self._host, profile, self._endpoint)

    def of(self, look: Look) -> "Case":
        """The same with this conversation."""
        return Case(self._host, self._profile, self._endpoint, look)

    def says(self, text: str) -> Witness:
        """This conversation as a witness of `text`."""
        return Witness(self.look.view, self.look.source, text)

    @property
    def session(self) -> Session:
        """What was said in this conversation; out of the check where that is missing."""
        return known(self.look.session)

    @property
    def profile(self) -> Profile:
        """Of checks that a policy asks for."""
        assert self._profile is not None
        return self._profile


@dataclass(frozen=True)
class Explains:
    """What follows from the failure of a check, at the same port or, of a host's, anywhere on it.

    A remedy of the failure must clear it as well: `when` sees to that. It gets the host with the
    failing endpoint, and the verdict that may follow from it.
    """

    checks: tuple[str, ...]  # ids; none: every check
    outcome: Outcome = Outcome.FAIL
    when: Callable[[Case, Verdict], bool] | None = None


@dataclass(frozen=True)
class Check:
    """One question to a mail host.

    `judge` writes neither not-assessed nor error: `known` takes it out of the check where
    something is missing, and the engine catches what breaks.
    """

    id: str
    title: str  # what is wrong where it fails, as a headline
    severity: Severity
    rationale: str
    references: tuple[str, ...]
    scope: Scope
    judge: Callable[[Case], Verdict]
    remedies: tuple[Remedy, ...] = ()
    # Remedies that name what this very host lacks, beside the standing ones.
    advise: Callable[[Case], tuple[Remedy, ...]] | None = None
    advice_tried: str = ""  # where it was applied, for the check's page
    # Asked whatever the policy: what the witnesses disagree on is wrong by every policy.
    always: bool = False
    # The witnesses that can tell. A host's look at itself is none of how it treats strangers.
    views: tuple[View, ...] = ("outside", "running")
    # Whether the answer to a conversation hangs on its time: where several vantages were told the
    # same, it is asked once for each moment, and others once, about a conversation without a time.
    dated: bool = False
    relay_severity: Severity = Severity.LOW  # on port 25
    explains: tuple[Explains, ...] = ()
    ports: tuple[int, ...] = ()  # of a check of the host: those that it is about
    criteria: str | None = None  # the field of a profile with the numbers that it goes by
