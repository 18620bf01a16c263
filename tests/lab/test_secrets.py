"""Secrets wherever daemons may keep them, on real hosts: none leaves its host, by any way."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwitness.report.interface import all_formats
from mailwitness.store.database import Database
from mailwitness.store.history import History
from tests.lab.audit import ROOT, playbook
from tests.lab.lab import Lab
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

HOSTS = ("good", "legacy", "dovecot24")
CANARY = "Kanarienvogel"  # each place has its own number behind it

_DOVECOT_23 = """
ssl_key_password = {c}
import_environment = TZ PASSWORD={c}
doveadm_password = {c}
doveadm_api_key = {c}
imapc_password = {c}
auth_policy_hash_nonce = {c}
auth_policy_server_api_header = Authorization: Basic {c}
plugin {{
  mail_crypt_private_password = {c}
  sieve_secret = {c}
}}
passdb {{
  driver = static
  args = password={c} nopassword
}}
passdb {{
  driver = passwd-file
  args = /etc/dovecot/canary.users
  override_fields = pass={c}
}}
userdb {{
  driver = sql
  args = /etc/dovecot/canary-sql.conf.ext
}}
userdb {{
  driver = ldap
  args = /etc/dovecot/canary-ldap.conf.ext
}}
local_name canary.example {{
  ssl_key_password = {c}
}}
"""
_DOVECOT_24 = """
ssl_server_key_password = {c}
import_environment {{
  PASSWORD = {c}
}}
doveadm_password = {c}
doveadm_api_key = {c}
imapc_password = {c}
auth_policy_hash_nonce = {c}
auth_policy_server_api_header = Authorization: Basic {c}
passdb static {{
  password = {c}
}}
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/canary.users
  fields {{
    pass = {c}
  }}
}}
"""
_FILES = {
    "etc/dovecot/canary.users": "tester:{{PLAIN}}{c}:::::: user_admin_pass={c}\n",
    "etc/dovecot/canary-sql.conf.ext": "driver = mysql\nconnect = host=db user=x password={c}\n",
    "etc/dovecot/canary-ldap.conf.ext": "hosts = ldap\ndn = cn=x\ndnpass = {c}\n",
    "etc/postfix/canary_sasl": "[relay.example]:587 user:{c}\n",
    "etc/postfix/canary-mysql.cf": "hosts = db\nuser = x\npassword = {c}\nquery = SELECT 1\n",
    "etc/postfix/canary-ldap.cf": "server_host = ldap\nbind_dn = cn=x\nbind_pw = {c}\n",
    "etc/postfix/canary_sni": "canary.example {c}\n",
    "etc/fail2ban/action.d/canary.conf": "[Definition]\nactionban = curl -u fail2ban:{c} <ip>\n",
    "etc/csf/csf.conf": 'MESSENGER_PASSWORD = "{c}"\n',
    "etc/hosts.allow": "imap-login : 192.0.2. : setenv PASSWORD {c}\nALL : 192.0.2.9 : spawn {c}\n",
}
_POSTFIX = (
    "smtp_sasl_password_maps = hash:/etc/postfix/canary_sasl, inline:{{[relay.example]=user:{c}}}",
    "virtual_mailbox_maps = mysql:/etc/postfix/canary-mysql.cf",
    "virtual_alias_maps = ldap:/etc/postfix/canary-ldap.cf, ldap:canary",
    "canary_bind_pw = {c}",
    "canary_password = {c}",
    "export_environment = TZ MAIL_CONFIG SECRET={c}",
    "import_environment = TZ PASSWORD={c}",
    "smtp_tls_key_file = inline:{c}",
)
_MASTER = (
    "canary/unix=canary unix - n n - - pipe user=nobody argv=/bin/true --password {c}",
    "10465/inet=10465 inet n - y - - smtpd -o smtp_sasl_password_maps=inline:{{a={c}}}",
)
_LISTENER = "import socket, sys, time; s = socket.create_server(('', 10143)); time.sleep(600)"


class Seeded:
    """A host with secrets in it, each of them another one."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.name = machine.description.name
        self.count = 0
        self._saved: dict[Path, bytes | None] = {}

    def seed(self) -> None:
        for name, content in _FILES.items():
            self._write(name, self._with_canaries(content))
        new = (self.machine.root / "etc/dovecot/dovecot.conf").read_text().startswith("dovecot_")
        self._add("etc/dovecot/host.conf", _DOVECOT_24 if new else _DOVECOT_23)
        for name in ("etc/postfix/main.cf", "etc/postfix/master.cf"):
            self._keep(self.machine.root / name)
        self._must("postconf", "-e", *map(self._with_canaries, _POSTFIX))
        for entry in _MASTER:
            self._must("postconf", "-M", self._with_canaries(entry))
        program = ("python3", "-c", _LISTENER, "--password={c}")
        listener = map(self._with_canaries, ("env", "PASSWORD={c}", *program))
        self.process = subprocess.Popen(
            self.machine.command(tuple(listener)), stdin=subprocess.DEVNULL
        )

    def heal(self) -> None:
        self.machine.run(("pkill", "-f", CANARY))
        self.process.wait()
        for file, content in self._saved.items():
            if content is None:
                file.unlink()
                with contextlib.suppress(OSError):  # one that was there before is not empty
                    file.parent.rmdir()
            else:
                file.write_bytes(content)

    def secrets(self) -> Iterator[str]:
        """Lines of its private keys, beside the canaries.

        The first third of an RSA key is its modulus, which is in its certificate.
        """
        for file in (self.machine.root / "etc/ssl").rglob("privkey.pem"):
            lines = [line for line in file.read_text().split() if len(line) > 60]
            yield from lines[len(lines) // 3 :]

    def _with_canaries(self, text: str) -> str:
        parts = re.split(r"\{c\}", text)
        whole = parts[0]
        for part in parts[1:]:
            self.count += 1
            whole += f"{CANARY}{self.count:03}{part}"
        return whole.replace("{{", "{").replace("}}", "}")

    def _add(self, name: str, content: str) -> None:
        file = self.machine.root / name
        before = file.read_text() if file.exists() else ""
        self._write(name, before + self._with_canaries(content))

    def _write(self, name: str, content: str) -> None:
        file = self.machine.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        self._keep(file)
        file.write_text(content)

    def _keep(self, file: Path) -> None:
        self._saved.setdefault(file, file.read_bytes() if file.exists() else None)

    def _must(self, *argv: str) -> None:
        done = self.machine.run(argv)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def seeded(lab: Lab) -> Iterator[list[Seeded]]:
    hosts = [Seeded(lab.machine(name)) for name in HOSTS]
    try:
        for host in hosts:
            host.seed()
        yield hosts
    finally:
        for host in hosts:
            host.heal()


def test_the_daemons_own_tools_do_show_them(seeded: list[Seeded]) -> None:
    """Else the next test could not fail."""
    for host in seeded:
        settings = host.machine.run(("postconf", "-n")).stdout
        assert settings.count(CANARY) >= 4, host.name
        services = host.machine.run(("postconf", "-M")).stdout
        services += host.machine.run(("postconf", "-P")).stdout
        assert services.count(CANARY) >= 2, host.name
        dovecot = host.machine.run(("doveconf", "-nP"))
        assert dovecot.stdout.count(CANARY) >= 6, host.name + dovecot.stderr


def test_no_secret_leaves_its_host(lab: Lab, seeded: list[Seeded], tmp_path: Path) -> None:
    output, store = tmp_path / "report", tmp_path / "history.sqlite"
    options = ("--limit", ",".join((*HOSTS, "outpost")), "-vvv", "-e", f"mailwitness_store={store}")
    done = subprocess.run(
        playbook(lab.inventory, output, *options),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    history = History(Database(str(store), create=False))
    run = history.find("latest")
    history.restore(run, tmp_path / "restored")
    report = history.report(run)
    assert {host["status"] for host in report["hosts"]} == {"audited"}
    texts = {"the play's output": done.stdout, "the play's errors": done.stderr}
    texts |= {f"format {name}": form.render(report) for name, form in all_formats().items()}
    for folder in (output, tmp_path / "restored"):
        texts |= {str(f): f.read_text("latin-1") for f in folder.rglob("*") if f.is_file()}
    keys = {line for host in seeded for line in host.secrets()}
    assert keys
    for where, text in texts.items():
        found = set(re.findall(rf"{CANARY}\d+", text)) | {key for key in keys if key in text}
        assert not found, where
