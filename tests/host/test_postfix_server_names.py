import base64
from pathlib import Path

import pytest

from mailwitness.evidence.host import ServerName
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.postfix_server_names import server_names

KEY = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"


def certificate(content: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n"


TWO_CHAINS = KEY + certificate("rsa") + certificate("issuer") + KEY + certificate("ec")


def answering(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(command, "run", lambda _: "".join(f"{line}\n" for line in lines))


def test_of_what_postmap_made_of_files_the_first_certificate_of_each_chain_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = base64.b64encode(TWO_CHAINS.encode()).decode()
    answering(monkeypatch, f"b.example\t{value}", ".A.example\tnot base64")
    found = server_names("/etc/postfix", "hash:/etc/postfix/sni")
    assert isinstance(found, tuple)
    assert "CANARY" not in repr(found)
    assert found[1] == ServerName("b.example", (certificate("rsa"), certificate("ec")))
    assert (found[0].name, type(found[0].certificates)) == (".a.example", Missing)


def test_a_table_of_file_names_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rsa.pem").write_text(KEY + certificate("rsa"))
    (tmp_path / "ec.pem").write_text(KEY + certificate("ec"))
    answering(
        monkeypatch,
        f"both.example\t{tmp_path}/rsa.pem, {tmp_path}/ec.pem",
        f"none.example\t{tmp_path}/nothing.pem",
    )
    found = server_names("/etc/postfix", "texthash:/etc/postfix/sni")
    assert isinstance(found, tuple)
    assert found[0].certificates == (certificate("rsa"), certificate("ec"))
    assert isinstance(found[1].certificates, Missing)


def test_of_several_tables_the_first_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def value(content: str) -> str:
        return base64.b64encode((KEY + certificate(content)).encode()).decode()

    tables = {
        "hash:one": f"a.example\t{value('one')}\n",
        "hash:two": f"a.example\t{value('two')}\n",
    }
    monkeypatch.setattr(command, "run", lambda argv: tables[argv[-1]])
    assert server_names("/etc/postfix", "hash:one, hash:two") == (
        ServerName("a.example", (certificate("one"),)),
    )


@pytest.mark.parametrize("maps", ["pcre:/etc/postfix/sni", "inline:{a=b}", "hash:/a ldap:/b"])
def test_other_kinds_of_tables_are_not_guessed_at(
    monkeypatch: pytest.MonkeyPatch, maps: str
) -> None:
    answering(monkeypatch)
    assert isinstance(server_names("/etc/postfix", maps), Missing)


def test_more_names_than_are_looked_into_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, *(f"host{number}.example\t" for number in range(1001)))
    assert isinstance(server_names("/etc/postfix", "hash:/etc/postfix/sni"), Missing)
