"""A whole run, judged: each host with the profiles that apply to it and what came of them."""

import datetime
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mailwitness.correlate.fleet import Fleet
from mailwitness.correlate.host import Host
from mailwitness.evidence import folder as evidence_folder
from mailwitness.evidence.run import Run
from mailwitness.policy.baseline import Accepted, Baseline
from mailwitness.policy.check import Check
from mailwitness.policy.eligibility import Eligible, eligibility
from mailwitness.policy.engine import Finding, in_order, judge, judge_waivers
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
class Audit:
    """The judgement of a run."""

    run: Run
    hosts: tuple[Judged, ...]
    waivers: tuple[tuple[Waiver, State], ...]
    baseline: Baseline | None


@dataclass(frozen=True)
class Borne:
    """Failures that are borne: by waivers until their day, by a baseline until they change."""

    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None

    @cached_property
    def accepted(self) -> frozenset[Accepted]:
        """Those of the baseline."""
        return frozenset(self.baseline.accepts if self.baseline else ())


def judge_fleet(
    fleet: Fleet, policies: Sequence[str], checks: Sequence[Check], borne: Borne | None = None
) -> Audit:
    """Judge every host by `policies`; where none are given, by those of its inventory.

    Raises:
        ProfileError: a policy is named that does not exist, or asks for what no check asks.
    """
    borne = borne or Borne()
    own = evidence_folder.policies(fleet.folder)
    asked = {name for host in fleet.hosts for name in _names(host, policies)}
    named = {name: load_policy(name, checks, own) for name in sorted(asked)}
    judged = [
        _judged(host, [named[name] for name in _names(host, policies)], checks)
        for host in fleet.hosts
    ]
    # Evidence is judged as of its own time, and a waiver of that day's failures, too.
    day = datetime.date.fromisoformat(fleet.run.started_at[:10])
    bearing = [_bearing(host, borne, day) for host in judged]
    used = {finding.waiver for host in bearing for finding in host.findings}
    states = tuple(
        (waiver, state(waiver, fleet.run.hosts, day, matched=waiver in used))
        for waiver in borne.waivers
    )
    hosts = tuple(_with_waivers(host, states, checks) for host in bearing)
    return Audit(fleet.run, hosts, states, borne.baseline)


def _bearing(judged: Judged, borne: Borne, day: datetime.date) -> Judged:
    """With each failure that is borne knowing by what."""
    plan = judged.host.plan
    waivers = [each for each in borne.waivers if each.names(plan) and day <= each.expires]
    findings = []
    for finding in judged.findings:
        if finding.outcome is Outcome.FAIL:
            check, endpoint = place(finding)
            waiver = next((each for each in waivers if each.covers(check, endpoint)), None)
            known = Accepted(plan.name, check, endpoint, finding.verdict.detail) in borne.accepted
            findings.append(replace(finding, waiver=waiver, in_baseline=known))
        else:
            findings.append(finding)
    return replace(judged, findings=tuple(findings))


def _with_waivers(
    judged: Judged, states: Sequence[tuple[Waiver, State]], checks: Sequence[Check]
) -> Judged:
    """With what there is to say of the waivers themselves."""
    own = [(waiver, its) for waiver, its in states if waiver.names(judged.host.plan)]
    said = judge_waivers(judged.host, own, checks)
    return replace(judged, findings=in_order((*fold(judged.host, judged.findings), *said)))


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


def _names(host: Host, policies: Sequence[str]) -> tuple[str, ...]:
    return tuple(policies) or host.plan.policies or DEFAULT_POLICIES


def _judged(host: Host, profiles: Sequence[Profile], checks: Sequence[Check]) -> Judged:
    findings = judge(host, profiles, checks)
    names = tuple(profile.id for profile in profiles)
    return Judged(host, names, findings, eligibility(host, profiles, findings))
