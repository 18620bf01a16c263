"""Writes down what the run sets out to do, and builds the agent that it ships."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    from mailwitness import zipapp
    from mailwitness.evidence import folder
    from mailwitness.evidence.moment import stamp
    from mailwitness.evidence.run import CONTROLLER, Run
    from mailwitness.inventory.plan import (
        MAIL,
        VANTAGE,
        InventoryError,
        keep,
        output_folder,
        planned_host,
    )
except ImportError:
    zipapp = None  # type: ignore[assignment]


class ActionModule(ActionBase):
    """Runs on the control node alone, before anything is contacted."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"output", "note"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The facts that the rest of the play goes by."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        if zipapp is None:
            raise AnsibleActionFail(
                "The Python that runs ansible-playbook has no mailwitness: install it there with "
                f"'{variables.get('ansible_playbook_python')} -m pip install mailwitness'"
            )
        chosen = variables["ansible_play_hosts_all"]  # what --limit leaves
        groups, hostvars = variables["groups"], variables["hostvars"]
        mail = {host: hostvars[host] for host in groups.get(MAIL, []) if host in chosen}
        vantages = [host for host in groups.get(VANTAGE, []) if host in chosen]
        if not mail:
            raise AnsibleActionFail(f"The inventory has no host in group '{MAIL}' to audit.")
        started = datetime.now(UTC)
        try:
            run = Run(
                started_at=stamp(started),
                note=self._task.args.get("note") or None,
                inside=_selected("inspect", variables),
                vantages=(CONTROLLER, *vantages) if _selected("probe", variables) else (),
                hosts=tuple(planned_host(name, its) for name, its in mail.items()),
            )
            output = output_folder(
                self._task.args.get("output"), variables.get("inventory_dir"), started
            )
            evidence = output / "evidence"
            folder.write(folder.run_file(evidence), run)
            keep(mail, evidence)
        except InventoryError as error:
            raise AnsibleActionFail(str(error)) from error
        path = output / "mailwitness-agent.pyz"
        agent = zipapp.write(path)
        result["ansible_facts"] = {
            "mailwitness__output": str(output),
            "mailwitness__evidence": str(evidence),
            "mailwitness__zipapp": str(path),
            "mailwitness__sha256": agent.sha256,
        }
        return result


def _selected(tag: str, variables: dict[str, Any]) -> bool:
    """Whether --tags and --skip-tags leave the part of the playbook with this tag."""
    wanted = set(variables.get("ansible_run_tags") or ["all"])
    skipped = set(variables.get("ansible_skip_tags") or [])
    return not wanted.isdisjoint({"all", "tagged", tag}) and skipped.isdisjoint(
        {"all", "tagged", tag}
    )
