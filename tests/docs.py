"""Generates the documents that follow from the code; a test holds them current."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ROLE = ROOT / "roles" / "mailwitness"

_ROLE_HEAD = """\
# Role mailwitness

Generated from `meta/argument_specs.yml`. The role's entry points are the steps of
`playbooks/audit.yml`: `plan`, `inspect`, `probe`, `probe_from_controller`, `report`.
All variables are optional, and any Ansible way to set them will do.

| variable | type | meaning |
|---|---|---|
"""


def role_readme() -> str:
    specs: dict[str, Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    rows = [
        f"| `{name}` | {_type(option)} | {option['description']} |"
        for name, option in specs["argument_specs"]["plan"]["options"].items()
    ]
    return _ROLE_HEAD + "\n".join(rows) + "\n"


def _type(option: dict[str, Any]) -> str:
    kind = f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])
    return kind if option.get("default", "") == "" else f"{kind}, default {option['default']}"


GENERATED = {ROLE / "README.md": role_readme}

if __name__ == "__main__":
    for path, make in GENERATED.items():
        path.write_text(make())
