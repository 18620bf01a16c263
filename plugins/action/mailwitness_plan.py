"""Writes down what the run sets out to do, and builds the agent that it ships."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    from mailwitness import zipapp
    from mailwitness.checks import all_checks
    from mailwitness.correlate.allowlist_file import allowlist
    from mailwitness.evidence import folder
    from mailwitness.evidence.moment import stamp
    from mailwitness.evidence.names import client_names
    from mailwitness.evidence.run import CONTROLLER, DEFAULT_PORTS, Allowlist, PlannedHost, Run
    from mailwitness.notify.contact import contacts
    from mailwitness.policy.audit import load_policy
    from mailwitness.policy.profile import ProfileError
    from mailwitness.policy.waiver import WaiverError
    from mailwitness.policy.waiver import read as read_waivers
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
        if zipapp is None:
            raise AnsibleActionFail(
                "The Python that runs ansible-playbook has no mailwitness: install it there with "
                f"'{(task_vars or {}).get('ansible_playbook_python')} -m pip install mailwitness'"
            )
        variables = task_vars or {}
        started = datetime.now(UTC)
        output = self._output(variables, started)
        evidence = output / "evidence"
        path = output / "mailwitness-agent.pyz"
        agent = zipapp.write(path)
        run = self._plan(variables, started)
        folder.write(folder.run_file(evidence), run)
        names = [host.name for host in run.hosts]
        self._keep_policies(variables["hostvars"], names, evidence)
        self._keep_waivers(variables["hostvars"], names, evidence)
        result["ansible_facts"] = {
            "mailwitness__output": str(output),
            "mailwitness__evidence": str(evidence),
            "mailwitness__zipapp": str(path),
            "mailwitness__sha256": agent.sha256,
        }
        return result

    def _output(self, variables: dict[str, Any], started: datetime) -> Path:
        """The folder of this run; evidence of configurations is not for every local user."""
        given = self._task.args.get("output")
        if given:
            output = Path(given).expanduser().absolute()
            output.mkdir(parents=True, exist_ok=True, mode=0o700)
            return output
        base = Path(variables.get("inventory_dir") or ".").absolute() / "reports"
        output = base / started.strftime("%Y-%m-%dT%H%M%SZ")
        output.mkdir(parents=True, exist_ok=True, mode=0o700)
        link = base / "latest"
        unfinished = base / ".latest"
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(output.name)
        unfinished.replace(link)
        return output

    def _plan(self, variables: dict[str, Any], started: datetime) -> Run:
        chosen = variables["ansible_play_hosts_all"]  # what --limit leaves
        groups = variables["groups"]
        mail = [host for host in groups.get("mail", []) if host in chosen]
        if not mail:
            raise AnsibleActionFail("The inventory has no host in group 'mail' to audit.")
        vantages = [host for host in groups.get("vantage", []) if host in chosen]
        return Run(
            started_at=stamp(started),
            note=self._task.args.get("note") or None,
            inside=_selected("inspect", variables),
            vantages=(CONTROLLER, *vantages) if _selected("probe", variables) else (),
            hosts=tuple(self._host(name, variables["hostvars"][name]) for name in mail),
        )

    def _keep_policies(self, inventory: Any, hosts: list[str], evidence: Path) -> None:
        """Beside the evidence: it can be judged by them again, wherever it is taken."""
        for host in hosts:
            its = inventory[host]
            for name in _policies(its):
                file = _file(name, its)
                try:
                    load_policy(str(file) if file else name, all_checks())
                except ProfileError as error:
                    raise AnsibleActionFail(
                        f"Inventory of {host}: mailwitness_policies: {error}"
                    ) from error
                if file is None:
                    continue
                kept = folder.policies(evidence) / file.name
                text = file.read_text("utf-8")
                if kept.exists() and kept.read_text("utf-8") != text:
                    raise AnsibleActionFail(
                        f"Inventory of {host}: mailwitness_policies: {file}: another policy "
                        f"of the name {file.stem} is in use"
                    )
                kept.parent.mkdir(exist_ok=True)
                kept.write_text(text, "utf-8")

    def _keep_waivers(self, inventory: Any, hosts: list[str], evidence: Path) -> None:
        """Each file once, however many hosts name it."""
        files: dict[Path, None] = {}
        ids = [check.id for check in all_checks()]
        for host in hosts:
            given = inventory[host].get("mailwitness_waivers")
            if given:
                file = _from_inventory(str(given), inventory[host])
                try:
                    read_waivers(file, ids)
                except WaiverError as error:
                    raise AnsibleActionFail(
                        f"Inventory of {host}: mailwitness_waivers: {error}"
                    ) from error
                files[file] = None
        for number, file in enumerate(files, start=1):
            kept = folder.waivers(evidence) / str(number) / file.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(file.read_text("utf-8"), "utf-8")

    def _host(self, name: str, its: Any) -> PlannedHost:
        address = str(its.get("ansible_host") or name)
        names = its.get("mailwitness_names")
        try:
            ports = tuple(map(int, its.get("mailwitness_ports") or DEFAULT_PORTS))
            return PlannedHost(
                name=name,
                address=address,
                groups=tuple(map(str, its.get("group_names") or ())),
                names=tuple(map(str, names)) if names else client_names((name, address)),
                ports=ports,
                policies=tuple(file.stem if (file := _file(n, its)) else n for n in _policies(its)),
                trust_store=_content(its.get("mailwitness_trust_store")),
                allowlists=_allowlists(its, ports),
                contacts=contacts(its.get("mailwitness_contacts") or ()),
            )
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"Inventory of {name}: {error}") from error
        except OSError as error:
            raise AnsibleActionFail(
                f"Inventory of {name}: mailwitness_trust_store: {error.filename}: {error.strerror}"
            ) from error


def _allowlists(its: Any, ports: tuple[int, ...]) -> tuple[Allowlist, ...]:
    """Files are named from the inventory's folder on."""
    entries = its.get("mailwitness_allowlists") or ()
    if not isinstance(entries, (list, tuple)):
        raise TypeError("mailwitness_allowlists: a list is expected")
    folder = Path(its.get("inventory_dir") or ".").absolute()
    return tuple(
        allowlist(entry, f"mailwitness_allowlists entry {number}", folder, ports)
        for number, entry in enumerate(entries, start=1)
    )


def _policies(its: Any) -> tuple[str, ...]:
    given = its.get("mailwitness_policies") or ()
    if not isinstance(given, (list, tuple)):
        raise AnsibleActionFail("mailwitness_policies: a list is expected")
    return tuple(map(str, given))


def _file(policy: str, its: Any) -> Path | None:
    """Where a policy of one's own lies."""
    return _from_inventory(policy, its) if policy.endswith(".toml") else None


def _from_inventory(path: str, its: Any) -> Path:
    """Files are named from the inventory's folder on."""
    return Path(its.get("inventory_dir") or ".").absolute() / Path(path).expanduser()


def _content(path: str | None) -> str | None:
    return Path(path).expanduser().read_text("utf-8") if path else None


def _selected(tag: str, variables: dict[str, Any]) -> bool:
    """Whether --tags and --skip-tags leave the part of the playbook with this tag."""
    wanted = set(variables.get("ansible_run_tags") or ["all"])
    skipped = set(variables.get("ansible_skip_tags") or [])
    return not wanted.isdisjoint({"all", "tagged", tag}) and skipped.isdisjoint(
        {"all", "tagged", tag}
    )
