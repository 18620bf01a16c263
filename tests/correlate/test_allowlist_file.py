"""Lists of addresses: what is read, and errors that name the file and the entry."""

from pathlib import Path

import pytest

from mailwitness.correlate.allowlist_file import AllowlistError, allowlist

YAML = """\
name: crm
ports: [993, 587]
cidrs: [198.51.100.0/24, 2001:db8::/32, 192.0.2.7]
exclusive: true
source: the service's page
retrieved_at: 2026-11-01
"""


def of_file(path: Path, **more: object) -> object:
    return allowlist({"file": path.name, **more}, "entry 1", path.parent, (25,))


def test_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "crm.yml").write_text(YAML)
    found = allowlist({"file": "crm.yml"}, "entry 1", tmp_path)
    assert found.name == "crm"
    assert found.ports == (993, 587)
    assert found.cidrs == ("198.51.100.0/24", "2001:db8::/32", "192.0.2.7/32")
    assert found.exclusive
    assert (found.source, found.retrieved_at) == ("the service's page", "2026-11-01")


def test_a_plain_file_and_the_ports_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "vendor.txt").write_text("# of 2026\n198.51.100.0/24  # office\n\n2001:db8::/32\n")
    found = allowlist({"file": "vendor.txt"}, "entry 1", tmp_path, (465,))
    assert (found.name, found.ports, found.exclusive) == ("vendor", (465,), False)
    assert found.cidrs == ("198.51.100.0/24", "2001:db8::/32")


def test_the_inventory_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "crm.yml").write_text(YAML)
    found = allowlist({"file": "crm.yml", "ports": [25], "exclusive": False}, "e", tmp_path)
    assert (found.ports, found.exclusive) == ((25,), False)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", "192.0.2.0/24\n192.0.2.1/24\n", "a.txt: line 2: 192.0.2.1/24 has host bits set"),
        ("a.txt", "mail.example.com\n", "a.txt: line 1: 'mail.example.com' does not appear"),
        ("a.txt", "# nothing\n", "the list has no networks"),
        ("a.txt", "\udcff", "a.txt: not UTF-8"),
        ("a.yml", "cidrs: [", "a.yml: not YAML"),
        ("a.yml", "- 192.0.2.0/24\n", "a.yml: a mapping with name and cidrs is expected"),
        ("a.yml", "cidrs: 192.0.2.0/24\n", "a.yml: cidrs: a list of networks is expected"),
        ("a.yml", "cidrs: [192.0.2.0/24]\nport: 1\n", "a.yml: 'port' is not known"),
        ("a.yml", "cidrs: [192.0.2.0/24, x]\n", "a.yml: cidrs entry 2: 'x' does not appear"),
        ("a.yml", "cidrs: [192.0.2.0/24]\nports: [0]\n", "ports entry 1: 0 is no port"),
        ("a.yml", "cidrs: [192.0.2.0/24]\nexclusive: maybe\n", "exclusive: true or false"),
        ("a.yml", "file: b.yml\n", "a list's file cannot name another one"),
    ],
)
def test_a_wrong_file_is_named_with_its_entry(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(AllowlistError) as error:
        of_file(tmp_path / name)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("crm", "entry 1: a mapping is expected"),
        ({"name": "crm"}, "entry 1: either file or cidrs is needed"),
        ({"name": "crm", "cidrs": ["x"]}, "entry 1: cidrs entry 1: 'x'"),
        ({"cidrs": ["192.0.2.0/24"]}, "entry 1: name: a text is expected"),
        ({"name": "crm", "cidrs": [], "prots": [1]}, "entry 1: 'prots' is not known"),
        ({"name": "crm", "file": "none.txt"}, "none.txt: No such file"),
    ],
)
def test_a_wrong_entry_of_the_inventory_is_named(
    tmp_path: Path, entry: object, problem: str
) -> None:
    with pytest.raises(AllowlistError) as error:
        allowlist(entry, "entry 1", tmp_path)
    assert problem in str(error.value)
