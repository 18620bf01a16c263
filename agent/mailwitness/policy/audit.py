"""A whole run, judged: each host with the profiles that apply to it and what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailwitness.correlate.fleet import Fleet
from mailwitness.correlate.host import Host
from mailwitness.evidence.run import Run
from mailwitness.policy import profile
from mailwitness.policy.check import Check
from mailwitness.policy.eligibility import Eligible, eligibility
from mailwitness.policy.engine import Finding, judge


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
        ProfileError: a policy is named that does not exist.
    """
    return Audit(fleet.run, tuple(_judged(host, tuple(policies), checks) for host in fleet.hosts))


def _judged(host: Host, policies: tuple[str, ...], checks: Sequence[Check]) -> Judged:
    names = policies or host.plan.policies or profile.DEFAULT_POLICIES
    profiles = [profile.load(name) for name in names]
    findings = judge(host, profiles, checks)
    return Judged(host, names, findings, eligibility(host, profiles, findings))
