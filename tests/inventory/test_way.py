"""How to log in, from what Ansible and ssh know."""

from pathlib import Path
from typing import Any

import pytest

from mailwitness.inventory.plan import InventoryError
from mailwitness.inventory.way import way

CONFIG = """\
Host mail1
  HostName 192.0.2.1
  Port 2222
  User config
  IdentityFile /keys/config
  ProxyJump gate
Host gate
  HostName 192.0.2.254
  User gatekeeper
"""


def of(tmp_path: Path, **variables: Any) -> Any:
    (tmp_path / "config").write_text(CONFIG)
    return way("mail1", variables, tmp_path / "config")


def test_what_the_inventory_leaves_open_ssh_config_says(tmp_path: Path) -> None:
    its = of(tmp_path)
    assert (its.host, its.port, its.user) == ("192.0.2.1", 2222, "config")
    assert its.keys == ("/keys/config",)
    assert (its.jump.host, its.jump.port, its.jump.user) == ("192.0.2.254", 22, "gatekeeper")
    assert not its.sudo


def test_the_inventory_goes_before_ssh_config(tmp_path: Path) -> None:
    its = of(
        tmp_path,
        ansible_port="22",
        ansible_user="root",
        ansible_ssh_private_key_file="/keys/own",
        ansible_password="secret",
        ansible_ssh_common_args="-o UserKnownHostsFile='/a /b' -J none -oControlMaster=auto",
    )
    assert (its.port, its.user, its.password) == (22, "root", "secret")
    assert its.keys == ("/keys/own", "/keys/config")
    assert its.known_hosts == ("/a", "/b")
    assert its.jump is None
    assert "secret" not in repr(its)


def test_several_hops(tmp_path: Path) -> None:
    its = of(tmp_path, ansible_ssh_common_args="-o ProxyJump=a@one:2200,b@two")
    assert (its.jump.host, its.jump.user) == ("two", "b")
    assert (its.jump.jump.host, its.jump.jump.port, its.jump.jump.user) == ("one", 2200, "a")
    assert its.jump.jump.jump is None


def test_sudo_with_a_password(tmp_path: Path) -> None:
    its = of(tmp_path, ansible_become="yes", ansible_become_pass="secret")
    assert (its.sudo, its.sudo_password) == (True, "secret")
    assert "secret" not in repr(its)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ansible_connection": "winrm"}, "ansible_connection: winrm is not SSH"),
        ({"ansible_become": True, "ansible_become_method": "doas"}, "doas to root is not done"),
        ({"ansible_become": True, "ansible_become_user": "mail"}, "sudo to mail is not done"),
        (
            {"ansible_ssh_extra_args": "-o StrictHostKeyChecking=no"},
            "stricthostkeychecking=no: host keys are checked here",
        ),
        ({"ansible_ssh_common_args": "-o ProxyCommand='nc %h'"}, "is not known here"),
        ({"ansible_ssh_common_args": "-R 1:a:2"}, "is not known here"),
        ({"ansible_ssh_common_args": "'"}, "No closing quotation"),
        ({"ansible_port": "ssh"}, "ansible_port"),
    ],
)
def test_what_is_not_done_is_told(tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    with pytest.raises(InventoryError, match=r"Inventory of mail1: ") as told:
        of(tmp_path, **variables)
    assert said in str(told.value)
