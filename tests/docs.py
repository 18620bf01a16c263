"""Generates the documents that follow from the code; a test holds them current."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mailwitness.checks import all_checks
from mailwitness.policy.check import Check, Scope
from mailwitness.policy.outcome import Outcome
from mailwitness.policy.profile import load, names

ROOT = Path(__file__).parents[1]
ROLE = ROOT / "roles" / "mailwitness"
SCHEDULE = ROOT / "roles" / "mailwitness_schedule"

_ROLE_HEAD = """\
# Role mailwitness

Generated from `meta/argument_specs.yml`. The role's entry points are the steps of
`playbooks/audit.yml`: `plan`, `inspect`, `probe`, `report`.
All variables are optional, and any Ansible way to set them will do.

| variable | type | meaning |
|---|---|---|
"""


_SCHEDULE_HEAD = """\
# Role mailwitness_schedule

Generated from `meta/argument_specs.yml`. `playbooks/schedule.yml` runs it on the control node;
what it makes: docs/periodic.md.

| variable | type | meaning |
|---|---|---|
"""


def role_readme(role: Path, entry: str, head: str) -> str:
    specs: dict[str, Any] = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    rows = [
        f"| `{name}` | {_type(option)} | {option['description']} |"
        for name, option in specs["argument_specs"][entry]["options"].items()
    ]
    return head + "\n".join(rows) + "\n"


def _type(option: dict[str, Any]) -> str:
    kind = f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])
    return kind if option.get("default", "") == "" else f"{kind}, default {option['default']}"


_SCOPES = {
    Scope.HOST: "once for each host",
    Scope.ENDPOINT: "of every port in service",
    Scope.LOOK: "of every conversation with a port in service, by {views}; the answers become one",
    Scope.WAIVERS: "once for each host, when its failures have met their waivers",
}


def check_page(check: Check) -> str:
    return "\n\n".join(_check_page(check)) + "\n"


def _check_page(check: Check) -> Iterator[str]:
    yield f"# {check.id}"
    yield "Generated from the check itself by `make docs`."
    module = importlib.import_module(f"mailwitness.checks.{check.id.replace('-', '_')}")
    yield f"**Passes where**: {(module.__doc__ or '').strip()}"
    severity = f"{check.severity}, on port 25 {check.relay_severity}"
    scope = _SCOPES[check.scope].format(views=" and ".join(check.views))
    yield f"**Fails as**: {check.title}. Severity: {severity}. Asked {scope}."
    yield check.rationale
    yield "## Who asks for it"
    asking = [f"- `{name}`: {_md(asked)}" for name, asked in _asking(check)]
    always = ["- always, whatever the policy"] if check.always else []
    yield "\n".join((*always, *asking))
    yield "References: " + ", ".join(map(_md, check.references)) + "."
    follows = [
        f"- {outcome}: {', '.join(f'[{one}]({one}.md)' for one in names) or 'any check'}"
        for outcome, names in ((one.outcome, one.checks) for one in check.explains)
    ]
    if follows:
        yield "## What is folded under it, where the same remedy clears it"
        yield "\n".join(follows)
    yield "## Outcomes"
    yield "\n".join(_outcomes(check))
    yield "## Remedy"
    yield from _remedies(check)


def _asking(check: Check) -> Iterator[tuple[str, object]]:
    for name in names():
        for relay in (False, True):
            asked = load(name).paragraph(check.id, relay=relay)
            if asked:
                yield name + (", port 25" if relay else ""), asked


def _outcomes(check: Check) -> Iterator[str]:
    """The cases by which the check is tested: each is a recorded host with one thing changed."""
    for outcome in Outcome:
        cases = [
            path.name.split(".")[0].replace("-", " ")
            for path in sorted((ROOT / "tests" / "checks" / check.id).glob(f"*.{outcome}.json"))
        ]
        if cases:
            yield f"- **{outcome}**: {'; '.join(cases)}"


def _remedies(check: Check) -> Iterator[str]:
    for remedy in check.remedies:
        product = " ".join(filter(None, (remedy.product, remedy.versions))) or "any product"
        proof = (
            f"proven: lab hosts with {', '.join(remedy.proven)} were cured by the playbook that "
            "`mailwitness remedy` writes"
            if remedy.proven
            else "not proven on a lab host"
        )
        yield f"For {product} ({proof}):"
        yield f"```\n{remedy.text}\n```"
    if check.advise:
        yield (
            "Built for each host from what is found there, in the tool that it uses; applied "
            f"{check.advice_tried}."
        )
    elif not check.remedies:
        yield "What it finds says what to do; there is no standing remedy, and none is proven."


def _md(text: object) -> str:
    return str(text).replace("*", r"\*").replace("_", r"\_").replace("<", r"\<")


def check_index() -> str:
    rows = [f"| [{one.id}]({one.id}.md) | {one.severity} | {one.title} |" for one in all_checks()]
    head = (
        "# Checks\n\nGenerated by `make docs`.\n\n| check | severity | fails as |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


PAGES = ROOT / "docs" / "checks"
GENERATED: dict[Path, Callable[[], str]] = {
    ROLE / "README.md": partial(role_readme, ROLE, "plan", _ROLE_HEAD),
    SCHEDULE / "README.md": partial(role_readme, SCHEDULE, "main", _SCHEDULE_HEAD),
    PAGES / "README.md": check_index,
    **{PAGES / f"{check.id}.md": partial(check_page, check) for check in all_checks()},
}

if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for stale in {*PAGES.glob("*.md")} - GENERATED.keys():
        stale.unlink()
    for path, make in GENERATED.items():
        path.write_text(make())
