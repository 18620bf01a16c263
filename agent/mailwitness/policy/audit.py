"""A whole run, judged: each host with the profiles that apply to it and what came of them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailwitness.correlate.fleet import Fleet
from mailwitness.correlate.host import Host
from mailwitness.evidence import folder as evidence_folder
from mailwitness.evidence.run import Run
from mailwitness.policy.check import Check
from mailwitness.policy.eligibility import Eligible, eligibility
from mailwitness.policy.engine import Finding, judge
from mailwitness.policy.profile import DEFAULT_POLICIES, Profile, ProfileError, load


@dataclass(frozen=True)
class Judged:
    """One host and its judgement."""

    host: Host
    policies: tuple[str, ...]
    findings: tuple[Finding, ...]
    eligibility: tuple[Eligible, ...]


@dataclass(frozen=True)
class Audit:
    """The judgement of a run."""

    run: Run
    hosts: tuple[Judged, ...]


def judge_fleet(fleet: Fleet, policies: Sequence[str], checks: Sequence[Check]) -> Audit:
    """Judge every host by `policies`; where none are given, by those of its inventory.

    Raises:
        ProfileError: a policy is named that does not exist, or asks for what no check asks.
    """
    own = evidence_folder.policies(fleet.folder)
    named = {
        name: load_policy(name, checks, own)
        for host in fleet.hosts
        for name in _names(host, policies)
    }
    return Audit(
        fleet.run,
        tuple(
            _judged(host, [named[name] for name in _names(host, policies)], checks)
            for host in fleet.hosts
        ),
    )


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
