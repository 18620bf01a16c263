"""A policy or a check in words, for the terminal."""

from collections.abc import Iterator, Mapping

from mailwitness.policy.check import Check
from mailwitness.policy.profile import Citation, Profile, load, names
from mailwitness.report.text import printable


def policy(profile: Profile) -> str:
    """Everything it asks for, each with its paragraph."""
    return printable("\n".join(_policy(profile)) + "\n", keep="\n")


def _policy(profile: Profile) -> Iterator[str]:
    yield f"{profile.id}: {profile.title}"
    yield f"source: {profile.source}"
    yield f"edition: {profile.edition}, {profile.date}"
    yield "\nnumbers:"
    for name, citation in profile.citations.items():
        table, _, number = name.partition(".")
        value = getattr(getattr(profile, table), number)
        said = ", ".join(value) if isinstance(value, tuple) else value
        yield f"  {name} = {said or 'none'}\n    {citation}"
    yield "\nrequired of access and submission:"
    yield from _requirements(profile.requires)
    yield f"\nof port 25: {profile.relay_why}"
    yield from _requirements(profile.relay_requires)
    if profile.eligibility:
        yield "\na client with these requirements can use a host where these pass:"
        yield f"  {', '.join(profile.eligibility.needs)}"
        yield "and, unless it makes an exception, these:"
        yield f"  {', '.join(profile.eligibility.exceptions)}"
    if profile.not_judged:
        yield "\nnot judged here:"
        yield from (f"  {line}" for line in profile.not_judged)


def _requirements(required: Mapping[str, Citation]) -> Iterator[str]:
    yield from (f"  {check}\n    {citation}" for check, citation in required.items())


def check(one: Check) -> str:
    """What it asks, for which policies, and what to do."""
    return "\n".join(_check(one)) + "\n"


def _check(one: Check) -> Iterator[str]:
    yield f"{one.id} ({one.severity}, on port 25 {one.relay_severity}): {one.title}"
    yield f"\n{one.rationale}\n"
    for profile in map(load, names()):
        asked = profile.paragraph(one.id, relay=False)
        if asked:
            yield f"policy {profile.id}: {asked}"
    yield f"references: {', '.join(one.references)}"
    for remedy in one.remedies:
        yield f"\nremedy, {remedy.product or 'any'} {remedy.versions or '(all versions)'}:"
        yield from (f"  {line}" for line in remedy.text.splitlines())
