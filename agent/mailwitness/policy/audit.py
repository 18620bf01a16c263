"""A whole run, judged: each host with the profiles that apply to it and what came of them."""

import datetime
import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mailwitness.correlate.fleet import Fleet
from mailwitness.correlate.host import Host
from mailwitness.evidence import folder as evidence_folder
from mailwitness.evidence.run import PlannedHost, Run
from mailwitness.policy.baseline import Accepted, Baseline
from mailwitness.policy.check import Check
from mailwitness.policy.eligibility import Eligible, eligibility
from mailwitness.policy.engine import Finding, Questions, judge, judge_waivers, questions
from mailwitness.policy.folding import fold, place
from mailwitness.policy.outcome import Outcome
from mailwitness.policy.profile import DEFAULT_POLICIES, Profile, ProfileError, load
from mailwitness.policy.waiver import State, Waiver, state


@dataclass(frozen=True)
class Judged:
    """One host and its judgement."""

    host: Host
    policies: tuple[str, ...]
    findings: tuple[Finding, ...]
    eligibility: tuple[Eligible, ...]  # as a client finds it, whatever has been waived


@dataclass(frozen=True)
class Borne:
    """Failures that are borne: by waivers until their day, by a baseline until they change."""

    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None

    @cached_property
    def accepted(self) -> frozenset[Accepted]:
        """Those of the baseline."""
        return frozenset(self.baseline.accepts if self.baseline else ())


@dataclass(frozen=True)
class Audit:
    """The judgement of a run, host by host: what is read and judged of one is not kept."""

    fleet: Fleet
    borne: Borne
    _policies: tuple[str, ...]  # in place of those of the inventory
    _profiles: dict[str, Profile]  # by name
    _checks: tuple[Check, ...]
    # By the names of policies, of which a fleet has few sets.
    _asked: dict[tuple[str, ...], Questions] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def run(self) -> Run:
        """What it set out to do."""
        return self.fleet.run

    def judge(self, plan: PlannedHost) -> Judged:
        """A host of the run with its findings, but for those about waivers."""
        host = self.fleet.host(plan)
        names = _names(host.plan, self._policies)
        profiles = [self._profiles[name] for name in names]
        if names not in self._asked:
            self._asked[names] = questions(profiles, self._checks)
        findings = judge(host, self._asked[names])
        return Judged(
            host,
            tuple(profile.id for profile in profiles),
            fold(host, self._bearing(host.plan, findings)),
            eligibility(host, profiles, findings),
        )

    def are_named(self, plan: PlannedHost) -> bool:
        """Whether some waiver names the host."""
        return any(waiver.names(plan) for waiver in self.borne.waivers)

    def states(self, used: Collection[Waiver]) -> tuple[tuple[Waiver, State], ...]:
        """What has become of each waiver, `used` being those that cover some failure of the run."""
        hosts = self.run.hosts
        return tuple(
            (waiver, state(waiver, hosts, self._day, matched=waiver in used))
            for waiver in self.borne.waivers
        )

    def of_waivers(
        self, plan: PlannedHost, states: Iterable[tuple[Waiver, State]]
    ) -> tuple[Finding, ...]:
        """What there is to say of the waivers that name the host."""
        own = [(waiver, its) for waiver, its in states if waiver.names(plan)]
        return judge_waivers(own, self._checks)

    @cached_property
    def _day(self) -> datetime.date:
        # Evidence is judged as of its own time, and a waiver of that day's failures, too.
        return datetime.date.fromisoformat(self.run.started_at[:10])

    def _bearing(self, plan: PlannedHost, findings: Iterable[Finding]) -> list[Finding]:
        """With each failure that is borne knowing by what."""
        borne = self.borne
        if not borne.waivers and not borne.accepted:
            return list(findings)
        waivers = [each for each in borne.waivers if each.names(plan) and self._day <= each.expires]
        found = []
        for finding in findings:
            if finding.outcome is Outcome.FAIL:
                check, endpoint = place(finding)
                waiver = next((each for each in waivers if each.covers(check, endpoint)), None)
                known = Accepted(plan.name, check, endpoint, finding.verdict.detail)
                finding = finding._replace(waiver=waiver, in_baseline=known in borne.accepted)  # noqa: PLW2901
            found.append(finding)
        return found


def judge_fleet(
    fleet: Fleet, policies: Sequence[str], checks: Sequence[Check], borne: Borne | None = None
) -> Audit:
    """Judge every host by `policies`; where none are given, by those of its inventory.

    Raises:
        ProfileError: a policy is named that does not exist, or asks for what no check asks.
    """
    own = evidence_folder.policies(fleet.folder)
    asked = {name for plan in fleet.run.hosts for name in _names(plan, policies)}
    profiles = {name: load_policy(name, checks, own) for name in sorted(asked)}
    return Audit(fleet, borne or Borne(), tuple(policies), profiles, tuple(checks))


def load_policy(name: str, checks: Sequence[Check], own: Path | None = None) -> Profile:
    """The policy, with every check that it asks for being one of `checks`.

    Raises:
        ProfileError: there is none, its file is wrong, or no check has an id that it names.
    """
    profile = load(name, own)
    by_id = {check.id: check for check in checks}
    for asked in sorted(profile.asked()):
        if asked not in by_id:
            near = difflib.get_close_matches(asked, by_id, 1)
            meant = f"; did you mean {near[0]}?" if near else "; `mailwitness checks` lists them"
            raise ProfileError(f"policy {profile.id}: requires: no check {asked!a}{meant}")
        criteria = by_id[asked].criteria
        if criteria and getattr(profile, criteria) is None:
            raise ProfileError(f"policy {profile.id}: {criteria}: {asked} goes by this table")
    return profile


def _names(plan: PlannedHost, policies: Sequence[str]) -> tuple[str, ...]:
    return tuple(policies) or plan.policies or DEFAULT_POLICIES
