from pathlib import Path

import pytest

from mailwitness.evidence.host import ClientRule, ClientTable
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.postfix_access import client_table, split, tables_named, without_keys

FOLDER = "/etc/postfix"


def test_lists_of_dns_are_not_told() -> None:
    settings = {
        "smtpd_client_restrictions": "permit_mynetworks reject_rbl_client canary.example=127.0.0.2,"
        " permit_dnswl_client canary.list.example, reject",
        "postscreen_dnsbl_sites": "canary.zen.example*3",
        "mynetworks": "127.0.0.0/8",
    }
    told = without_keys(settings)
    assert "canary" not in repr(told)
    assert told["smtpd_client_restrictions"].startswith("permit_mynetworks reject_rbl_client (")
    assert told["smtpd_client_restrictions"].endswith(" reject")
    assert told["mynetworks"] == "127.0.0.0/8"
    assert without_keys({"postscreen_dnsbl_sites": ""}) == {"postscreen_dnsbl_sites": ""}


def test_tables_are_those_that_a_file_holds() -> None:
    settings = {
        "mynetworks": "127.0.0.0/8 [fe80::]/64 cidr:/n",
        "smtpd_client_restrictions": "check_client_access { hash:/a, x }, proxy:cidr:/b, permit",
        "postscreen_access_list": "permit_mynetworks,cidr:{{192.0.2.0/24 permit}} pcre:/c",
        "smtpd_relay_restrictions": "check_client_access hash:/not_asked",
    }
    assert set(tables_named(settings)) == {"cidr:/n", "proxy:cidr:/b", "pcre:/c"}
    assert split("a{ b, c }, d") == ["a{ b, c }", "d"]


def test_a_cidr_table_comes_line_by_line_with_the_first_word_of_each_action(
    tmp_path: Path,
) -> None:
    file = tmp_path / "clients"
    file.write_text(
        "# canary\n192.0.2.1 550 canary: 4711\n\n  192.0.2.2 goes on\n"
        "if !192.0.2.0/24\n2001:db8::/32\n\n# canary\n REJECT canary\nendif\n192.0.2.3 {canary}\n"
    )
    assert client_table(FOLDER, f"proxy:cidr:{file}") == ClientTable(
        (
            ClientRule("192.0.2.1", "550"),
            ClientRule("if", "!192.0.2.0/24"),
            ClientRule("2001:db8::/32", "REJECT"),
            ClientRule("endif", ""),
            ClientRule("192.0.2.3", ""),
        ),
        0,
    )
    assert isinstance(client_table(FOLDER, f"cidr:{tmp_path}/none"), Missing)


def test_of_an_indexed_table_names_are_counted_and_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ("192.0.2\tREJECT canary", "canary.example\tOK", "2001:db8::1\tOK", "cafe\tOK")
    answers = {("postmap", "-c", FOLDER, "-s", "hash:/c"): "\n".join(lines)}
    monkeypatch.setattr(command, "run", answers.__getitem__)
    rules = (ClientRule("192.0.2", "REJECT"), ClientRule("2001:db8::1", "OK"))
    assert client_table(FOLDER, "hash:/c") == ClientTable(rules, 2)


@pytest.mark.parametrize("name", ["pcre:/c", "proxy:mysql:/c"])
def test_other_tables_are_not_looked_into(name: str) -> None:
    assert isinstance(client_table(FOLDER, name), Missing)
