"""Looks at the fleet from the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from mailwitness.evidence import folder
from mailwitness.evidence.codec import loads
from mailwitness.evidence.run import CONTROLLER, Run
from mailwitness.inventory.plan import EVIDENCE, InventoryError, account
from mailwitness.transport.errand import keep_failure
from mailwitness.transport.here import probe_from_here


class ActionModule(ActionBase):
    """Leaves a file for each host: what was seen of it, or the reason why nothing was."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"output"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """In Ansible's own process: what can be imported here need not be run as the agent."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        evidence = Path(self._task.args["output"]) / EVIDENCE
        hosts = loads(folder.read(folder.run_file(evidence)), Run).hosts
        try:
            # Of accounts no other vantage hears.
            accounts = {
                host.name: account(host.name, variables["hostvars"][host.name]) for host in hosts
            }
            probe_from_here(evidence, hosts, accounts)
        except BaseException as error:
            for host in hosts:
                path = folder.probe_file(evidence, host.name, CONTROLLER)
                keep_failure(path, host.name, "failed", f"{type(error).__name__}: {error}")
            if isinstance(error, InventoryError):
                raise AnsibleActionFail(str(error)) from None
            raise
        return result
