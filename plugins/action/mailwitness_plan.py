"""Writes down what the run sets out to do, and builds the agent that it ships."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

try:
    from mailwitness import zipapp
    from mailwitness.evidence import folder
    from mailwitness.evidence.moment import stamp
    from mailwitness.evidence.run import CONTROLLER, Run
    from mailwitness.inventory import plan
except ImportError:
    zipapp = None  # type: ignore[assignment]


class ActionModule(ActionBase):
    """Runs on the control node alone, before anything is contacted."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"output", "note", "specification"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Where the run lies: the tasks that follow go by that."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        if zipapp is None:
            raise AnsibleActionFail(
                "The Python that runs ansible-playbook has no mailwitness: install it there with "
                f"'{variables.get('ansible_playbook_python')} -m pip install mailwitness'"
            )
        chosen = set(variables["ansible_play_hosts_all"])  # what --limit leaves
        groups, hostvars = variables["groups"], variables["hostvars"]
        mail, vantages = (
            {host: hostvars[host] for host in groups.get(group, []) if host in chosen}
            for group in (plan.MAIL, plan.VANTAGE)
        )
        if not mail:
            raise AnsibleActionFail(f"The inventory has no host in group '{plan.MAIL}' to audit.")
        wrong = [
            f"Inventory of {host}: {problem}"
            for host, its in (vantages | mail).items()
            for problem in self._misfits(its)
        ]
        if wrong:
            raise AnsibleActionFail("; ".join(wrong))
        started = datetime.now(UTC)
        try:
            run = Run(
                started_at=stamp(started),
                note=self._task.args.get("note") or None,
                inside=_selected("inspect", variables),
                vantages=(CONTROLLER, *vantages) if _selected("probe", variables) else (),
                hosts=tuple(plan.planned_host(name, its) for name, its in mail.items()),
            )
            output = plan.output_folder(
                self._task.args.get("output"), variables.get("inventory_dir"), started
            )
            evidence = output / plan.EVIDENCE
            folder.write(folder.run_file(evidence), run)
            plan.keep(mail, evidence)
        except plan.InventoryError as error:
            raise AnsibleActionFail(str(error)) from error
        zipapp.write(output / zipapp.NAME)
        result["output"] = str(output)
        return result

    @cached_property
    def _options(self) -> dict[str, Any]:
        """What the role takes, by its own specification."""
        specification = self._loader.load_from_file(self._task.args["specification"])
        options: dict[str, Any] = specification["argument_specs"]["plan"]["options"]
        return options

    def _misfits(self, its: Mapping[str, Any]) -> list[str]:
        """What is not of the type that the role's specification says.

        Ansible's own validation is a task, which costs as much for each host as looking at it.
        """
        given = {name: its[name] for name in self._options if name in its}
        messages: list[str] = ArgumentSpecValidator(self._options).validate(given).error_messages
        return messages


def _selected(tag: str, variables: dict[str, Any]) -> bool:
    """Whether --tags and --skip-tags leave the part of the playbook with this tag."""
    wanted = set(variables.get("ansible_run_tags") or ["all"])
    skipped = set(variables.get("ansible_skip_tags") or [])
    return not wanted.isdisjoint({"all", "tagged", tag}) and skipped.isdisjoint(
        {"all", "tagged", tag}
    )
