from collections.abc import Sequence
from pathlib import Path

import pytest

from mailwitness.evidence.host import Jail
from mailwitness.evidence.missing import Missing
from mailwitness.host import access_control as module
from mailwitness.host import command
from mailwitness.host.access_control import access_control

STATUS = """\
Status
|- Number of jail:\t2
`- Jail list:\tdovecot, sshd
"""
JAIL = """\
Status for the jail: dovecot
|- Filter
|  |- Currently failed:\t0
|  |- Total failed:\t0
|  `- File list:\t/var/log/mail.log
`- Actions
   |- Currently banned:\t2
   |- Total banned:\t2
   `- Banned IP list:\t192.0.2.7 2001:db8::7 <script>
"""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, "str | Missing"]:
    answers: dict[str, str | Missing] = {}

    def run(argv: Sequence[str]) -> "str | Missing":
        return answers.get(" ".join(argv), command.NotInstalled(f"{argv[0]}: not installed"))

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(module, "_ETC", tmp_path)
    return answers


@pytest.mark.usefixtures("said")
def test_what_is_not_there_is_none() -> None:
    found = access_control()
    assert (found.fail2ban, found.hosts_allow, found.hosts_deny) == (None, None, None)
    assert found.dovecot_access_sockets is None


def test_the_bans_of_each_jail(said: dict[str, "str | Missing"]) -> None:
    said["fail2ban-client status"] = STATUS
    said["fail2ban-client status dovecot"] = JAIL
    said["fail2ban-client status sshd"] = "   `- Banned IP list:\t\n"
    assert access_control().fail2ban == (
        Jail("dovecot", ("192.0.2.7", "2001:db8::7")),
        Jail("sshd", ()),
    )


def test_bans_that_may_not_be_read_are_missing(said: dict[str, "str | Missing"]) -> None:
    said["fail2ban-client status"] = Missing("Permission denied to socket")
    assert access_control().fail2ban == Missing("Permission denied to socket")
    said["fail2ban-client status"] = STATUS
    said["fail2ban-client status dovecot"] = Missing("no end within 10 s")
    assert access_control().fail2ban == Missing("no end within 10 s")


@pytest.mark.usefixtures("said")
def test_only_rules_for_mail_daemons_leave_the_host(tmp_path: Path) -> None:
    (tmp_path / "hosts.deny").write_text(
        "# ALL: comment\nsshd: 192.0.2.1\nimap-login, pop3-login: 192.0.2.2 : spawn secret\n"
        "imap: [2001:db8::]/32 EXCEPT [2001:db8::7]: severity mail.info: DENY\n"
        "dovecot: \\\n  198.51.100.0/24\nALL: PARANOID\n"
    )
    assert access_control().hosts_deny == (
        "imap-login, pop3-login: 192.0.2.2 :spawn",
        "imap: [2001:db8::]/32 EXCEPT [2001:db8::7]:severity:DENY",
        "dovecot:    198.51.100.0/24",
        "ALL: PARANOID",
    )


def test_dovecot_without_the_setting_asks_no_socket(said: dict[str, "str | Missing"]) -> None:
    said["doveconf -h login_access_sockets"] = Missing("doveconf: Fatal: Unknown setting")
    assert access_control().dovecot_access_sockets == ""
    said["doveconf -h login_access_sockets"] = "tcpwrap\n"
    assert access_control().dovecot_access_sockets == "tcpwrap"
    said["doveconf -h login_access_sockets"] = Missing("no end within 10 s")
    assert isinstance(access_control().dovecot_access_sockets, Missing)
