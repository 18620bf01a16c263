"""What is wrong with an inventory is told all at once, before anything is contacted."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailwitness import cli
from mailwitness.inventory.check import VARIABLES
from tests.lab.audit import ROOT


def check(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = cli.main(["inventory", "check", *options])
    said = capsys.readouterr()
    return status, said.out, said.err


def written(folder: Path, **variables: Any) -> str:
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"mail": {"hosts": {"m1": variables, "m2": {}}}}))
    return str(file)


def test_the_example_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = check(capsys, "-i", str(ROOT / "inventory" / "example"))
    assert (status, err) == (cli.OK, "")
    assert "in order" in out


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"mailwitness_nams": ["a.example"]}, "mailwitness_nams: no such variable; did you mean"),
        ({"mailwitness_names": "a.example"}, "mailwitness_names: a list is expected"),
        ({"mailwitness_ports": [993, 70000]}, "mailwitness_ports: 70000 is no port number"),
        ({"mailwitness_contacts": ["ops"]}, "mailwitness_contacts: 'ops' is no mail address"),
        ({"mailwitness_policies": ["rcf"]}, "mailwitness_policies: "),
        ({"mailwitness_policies": "rfc"}, "mailwitness_policies: a list is expected"),
        ({"mailwitness_waivers": "nosuch.yml"}, "nosuch.yml"),
        ({"mailwitness_trust_store": "/nosuch.pem"}, "mailwitness_trust_store: /nosuch.pem"),
        ({"mailwitness_trust_store": __file__}, "is no list of PEM certificates"),
        ({"mailwitness_allowlists": [{"name": "crm"}]}, "mailwitness_allowlists entry 1"),
        ({"mailwitness_login": {"user": "x"}}, "mailwitness_login: user and password"),
        ({"mailwitness_names": ["{{ nosuch }}"]}, "mailwitness_names: "),
        ({"ansible_connection": "local"}, "ansible_connection: local is not SSH"),
    ],
)
def test_what_is_wrong_names_host_and_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variables: dict[str, Any], said: str
) -> None:
    status, _, err = check(capsys, "-i", written(tmp_path, **variables))
    assert status == cli.USAGE
    (line,) = err.splitlines()
    assert line.startswith("mailwitness: Inventory of m1: ")
    assert said in line


def test_all_of_it_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = {"mailwitness_ports": [0], "mailwitness_login": {}, "ansible_become_user": "x"}
    more = {"mailwitness_waivers": "nosuch.yml", "ansible_become": True}
    file = written(tmp_path, **variables, **more)
    assert len(check(capsys, "-i", file)[2].splitlines()) == 3
    # And an audit does not begin.
    assert cli.main(["collect", "-i", file]) == cli.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "reports").exists()


def test_an_inventory_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, "-i", str(tmp_path / "nosuch"))[0] == cli.USAGE
    (tmp_path / "empty.yml").write_text("web: {hosts: {w1: }}\n")
    status, _, err = check(capsys, "-i", str(tmp_path / "empty.yml"))
    assert status == cli.USAGE
    assert "no host in group 'mail'" in err


def test_a_vault_opens_with_its_password_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = tmp_path / "vault"
    vault.write_text("of this test")
    (tmp_path / "group_vars").mkdir()
    variables = tmp_path / "group_vars" / "mail.yml"
    variables.write_text("mailwitness_ports: [70000]\n")
    tool = Path(sys.executable).with_name("ansible-vault")
    encrypt = (tool, "encrypt", "--vault-password-file", vault, variables)
    subprocess.run(encrypt, check=True, capture_output=True)
    file = written(tmp_path)
    _, _, err = check(capsys, "-i", file, "--vault-password-file", str(vault))
    assert "mailwitness_ports: 70000 is no port number" in err
    for options in ((), ("--vault-password-file", str(tmp_path / "nosuch"))):
        status, _, err = check(capsys, "-i", file, *options)
        assert status == cli.USAGE
        assert "vault" in err.lower()


def test_the_variables_are_those_of_the_role() -> None:
    specs = yaml.safe_load((ROOT / "roles/mailwitness/meta/argument_specs.yml").read_text())
    named = {name for entry in specs["argument_specs"].values() for name in entry["options"]}
    assert named - VARIABLES == set()
    assert VARIABLES - named == {"mailwitness_login"}  # whose content no message may show
