"""What doveconf -n of 2.3 and of 2.4 says of databases of passwords."""

from pathlib import Path

import pytest

from mailwitness.evidence.host import Passdb
from mailwitness.evidence.missing import Missing
from mailwitness.host.dovecot_passdbs import passdbs


def block(*lines: str, name: str = "") -> str:
    return "\n".join((f"passdb {name}{{", *(f"  {line}" for line in lines), "}", ""))


def one(text: str) -> Passdb:
    found = passdbs(f"# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf\n{text}ssl = no\n")
    assert isinstance(found, tuple)
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (block("driver = pam"), Passdb("pam", None, None, None, own_nets=False)),
        (
            block("args = password=canary allow_nets=192.0.2.1", "driver = static"),
            Passdb("static", None, None, "192.0.2.1", own_nets=False),
        ),
        (
            block("driver = pam", "override_fields = a=b allow_nets=192.0.2.1,local"),
            Passdb("pam", None, "192.0.2.1,local", None, own_nets=False),
        ),
        (
            block("driver = pam", "default_fields = allow_nets=%{something}"),
            Passdb("pam", None, None, "%{something}", own_nets=True),
        ),
        (
            block("driver = pam", "override_fields = allow_real_nets=192.0.2.1"),
            Passdb("pam", None, None, None, own_nets=True),
        ),
        (
            block("fields {", "  allow_nets = 192.0.2.1", "}", name="static "),
            Passdb("static", None, None, "192.0.2.1", own_nets=False),
        ),
        (block(name="pam "), Passdb("pam", None, None, None, own_nets=False)),
        (
            block("query = SELECT password, allow_nets FROM users", name="sql "),
            Passdb("sql", None, None, None, own_nets=True),
        ),
        (
            block("query = SELECT password FROM users", name="sql "),
            Passdb("sql", None, None, None, own_nets=False),
        ),
        (
            f"protocol imap {{\n{block(name='pam ')}}}\n",
            Passdb("pam", "imap", None, None, own_nets=False),
        ),
    ],
)
def test_from_where_users_may_log_in(text: str, expected: Passdb) -> None:
    assert one(text) == expected


@pytest.mark.parametrize(
    ("content", "own"),
    [
        ("a:{PLAIN}canary::::::allow_nets=192.0.2.1\n", True),
        ("#a:{PLAIN}canary::::::allow_nets=192.0.2.1\na:{PLAIN}canary::::::\n", False),
        ("a:{PLAIN}canary::::::allow_real_nets=192.0.2.1\n", True),
    ],
)
def test_a_file_of_users_tells_whether_some_have_networks_of_their_own(
    content: str,
    own: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    (tmp_path / "users").write_text(content)
    for text in (
        block(f"args = scheme=CRYPT {tmp_path}/users", "driver = passwd-file"),
        block(f"passwd_file_path = {tmp_path}/users", name="passwd-file "),
    ):
        found = one(text)
        assert found.own_nets is own
        assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("content", "own"),
    [
        (
            "connect = password=canary\n# allow_nets\npassword_query = SELECT password FROM u\n",
            False,
        ),
        ("password_query = SELECT password, nets AS allow_nets FROM u\n", True),
    ],
)
def test_the_query_of_users_stands_in_a_file(
    content: str,
    own: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    (tmp_path / "sql").write_text(content)
    assert one(block(f"args = {tmp_path}/sql", "driver = sql")).own_nets is own


@pytest.mark.parametrize(
    "text",
    [
        block("args = /etc/users-of-%d", "driver = passwd-file"),
        block("args = /does/not/exist", "driver = passwd-file"),
        block("driver = lua"),
        block("sql_driver = sqlite", name="sql "),
        block("query = SELECT * FROM users", name="sql "),
    ],
)
def test_what_is_not_read_is_not_known(text: str) -> None:
    assert isinstance(one(text).own_nets, Missing)


@pytest.mark.parametrize(
    "text",
    [
        "passdb_fields {\n  allow_nets = 192.0.2.1\n}\n",
        f"remote 192.0.2.1 {{\n{block('driver = pam')}}}\n",
    ],
)
def test_what_stands_elsewhere_is_not_guessed_at(text: str) -> None:
    assert isinstance(passdbs(text), Missing)


@pytest.mark.parametrize("line", ["deny = yes", "master = yes", "mechanisms = xoauth2"])
def test_those_that_are_not_for_passwords_of_users_are_left_out(line: str) -> None:
    assert passdbs(block("driver = pam", line)) == ()
