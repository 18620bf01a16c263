"""The inventory as Ansible itself reads it: its plugins, its variables, its vaults."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, get_file_vault_secret
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from mailwitness.inventory.plan import MAIL, VANTAGE, InventoryError, Variables


@dataclass(frozen=True)
class Inventory:
    """The hosts of the two groups, with their variables."""

    mail: dict[str, Variables]
    vantages: dict[str, Variables]
    folder: str | None  # of the first source


def read(
    sources: Sequence[Path], limit: str | None = None, vault_files: Sequence[Path] = ()
) -> Inventory:
    """The inventory in `sources`, or what the pattern `limit` leaves of it.

    Raises:
        InventoryError: it cannot be read, or a template in it cannot be resolved.
    """
    named = ", ".join(map(str, sources))
    missing = next((source for source in sources if not source.exists()), None)
    if missing:
        raise InventoryError(str(missing), "there is no such file or folder")
    try:
        _find_plugins()
        loader = DataLoader()
        loader.set_vault_secrets([("default", _secret(file, loader)) for file in vault_files])
        manager = InventoryManager(loader=loader, sources=[str(source) for source in sources])
        if limit:
            manager.subset(limit)
        variables = VariableManager(loader=loader, inventory=manager)
        found = {
            group: dict(_hosts(group, manager, variables, loader)) for group in (MAIL, VANTAGE)
        }
    except AnsibleError as error:
        raise InventoryError(named, " ".join(str(error).split())) from None
    folder = next((its.get("inventory_dir") for its in found[MAIL].values()), None)
    return Inventory(found[MAIL], found[VANTAGE], folder and str(folder))


@cache
def _find_plugins() -> None:
    """Ansible does so once in a process."""
    init_plugin_loader()


def _secret(file: Path, loader: Any) -> VaultSecret:
    secret = get_file_vault_secret(filename=str(file), loader=loader)
    secret.load()
    return secret


def _hosts(
    group: str, manager: Any, variables: Any, loader: Any
) -> Iterator[tuple[str, Variables]]:
    if group not in manager.groups:
        return
    for host in manager.get_hosts(group):
        raw = variables.get_vars(host=host, include_hostvars=True)
        templar = Templar(loader=loader, variables=raw)
        its = {}
        for name, value in raw.items():
            if not name.startswith(("ansible_", "mailwitness_", "inventory_", "group_names")):
                continue
            try:
                its[name] = templar.template(value)
            except AnsibleError as error:
                said = " ".join(str(error).split())
                raise InventoryError(host.name, f"{name}: {said}") from None
        its.setdefault("ansible_user", constants.DEFAULT_REMOTE_USER)
        its.setdefault("ansible_become", constants.DEFAULT_BECOME)
        yield host.name, its
