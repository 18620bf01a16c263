"""The mail servers still get security updates."""

import datetime
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)

_MAIL = ("dovecot", "postfix")


def _judge(case: Case) -> Verdict:
    """By the distribution's release: it mends its packages under their old version numbers."""
    inside = known(case.host.inside)
    mail = [item for item in known(inside.software) if item.product in _MAIL]
    if not mail:
        return not_applicable("neither Dovecot nor Postfix is installed")
    for item in mail:
        known(item.package)  # built by hand, its updates are not the distribution's
    name, release = known(inside.system.os_id), known(inside.system.os_version)
    until, more = _until(name, release)
    described = ", ".join(f"{item.product} {known(item.package)}" for item in mail)
    if datetime.date.fromisoformat(inside.agent.started_at[:10]) <= until:
        return passed(f"{name} {release} has security updates until {until}: {described}")
    return failed(
        f"{name} {release} has had no public security updates since {until}; "
        f"where they are bought ({more}), this is no finding",
        [Witness("configured", "/etc/os-release and the package manager", described)],
    )


def _until(name: str, release: str) -> tuple[datetime.date, str]:
    table = _lifecycle().get(name, {})
    for version in (release, release.partition(".")[0]):
        if version in table:
            return table[version], table["more"]
    raise NotKnownError(f"until when {name} {release} gets security updates is not known here")


@lru_cache(maxsize=1)
def _lifecycle() -> Mapping[str, Any]:
    file = resources.files("mailwitness.policy").joinpath("lifecycle.toml")
    return tomllib.loads(file.read_text("utf-8"))


CHECK = Check(
    id="software-end-of-life",
    title="The mail servers get no security updates",
    severity=Severity.HIGH,
    rationale="Holes that are found from now on stay open, in the mail servers and in the TLS "
    "library and the kernel beneath them.",
    references=(
        "https://wiki.debian.org/LTS",
        "https://ubuntu.com/about/release-cycle",
        "https://access.redhat.com/support/policy/updates/errata",
    ),
    scope=Scope.HOST,
    judge=_judge,
    always=True,
    remedies=(
        Remedy(
            "",
            "",
            "Upgrade the distribution. From Dovecot 2.3 to 2.4 the configuration must be "
            "rewritten first: https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html",
        ),
    ),
)
