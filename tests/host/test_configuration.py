import os
from pathlib import Path

from mailwitness.evidence.host import Assignment
from mailwitness.evidence.missing import Missing
from mailwitness.host.configuration import of_dovecot, of_postfix

NAMES: tuple[str, ...] = (
    "smtpd_tls_protocols",
    "smtpd_tls_security_level",
    "ssl",
    "ssl_min_protocol",
)
NAMES += ("ssl_server_cert_file",)


def test_settings_of_postfix_are_found_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "main.cf").write_text(
        "# smtpd_tls_protocols = no\n"
        "smtpd_tls_security_level = may\n"
        "myhostname = a\n"
        "smtpd_tls_protocols=!SSLv2,\n"
        "   smtpd_tls_security_level = of the line above\n"
    )
    (tmp_path / "master.cf").write_text(
        "smtp inet n - y - - smtpd\n"
        "#  -o smtpd_tls_protocols=no\n"
        "submission inet n - y - - smtpd -o smtpd_tls_protocols=x\n"
        "  -o { smtpd_tls_security_level = encrypt } -o syslog_name=secret\n"
    )
    main, master = (str(tmp_path / name) for name in ("main.cf", "master.cf"))
    found = of_postfix(str(tmp_path), NAMES)
    assert found.assignments == (
        Assignment("smtpd_tls_security_level", main, 2, ()),
        Assignment("smtpd_tls_protocols", main, 4, ()),
        Assignment("smtpd_tls_protocols", master, 3, ("submission/inet",)),
        Assignment("smtpd_tls_security_level", master, 4, ("submission/inet",)),
    )
    assert [file.path for file in found.files] == [main, master]


def test_settings_of_dovecot_are_found_in_what_is_included(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    file = tmp_path / "dovecot.conf"
    file.write_text(
        "ssl = yes\n"
        "!include conf.d/*.conf\n"
        "!include_try nothing-there.conf\n"
        'local_name "a.example b.example" {\n'
        "  ssl_server {\n"
        "    cert_file = /etc/a.pem\n"
        "  }\n"
        "}\n"
        "ssl_min_protocol = TLSv1.2\n"
    )
    (tmp_path / "conf.d/10.conf").write_text(
        "protocol imap {\n  ssl = required  # }\n}\npassdb {\n  args = secret\n}\n"
    )
    found = of_dovecot(str(file), NAMES)
    included = str(tmp_path / "conf.d/10.conf")
    assert found.assignments == (
        Assignment("ssl", str(file), 1, ()),
        Assignment("ssl", included, 2, ("protocol imap",)),
        Assignment("ssl_server_cert_file", str(file), 6, ('local_name "a.example b.example"',)),
        Assignment("ssl_min_protocol", str(file), 9, ()),
    )
    assert [each.path for each in found.files] == [str(file), included]


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    file = tmp_path / "dovecot.conf"
    file.write_text("!include dovecot.conf\n")
    found = of_dovecot(str(file), NAMES)
    assert isinstance(found.assignments, Missing)
    assert "files are included" in found.assignments.reason


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "main.cf")
    found = of_postfix(str(tmp_path), NAMES)
    assert isinstance(found.assignments, Missing)
    assert "no regular file" in found.assignments.reason
