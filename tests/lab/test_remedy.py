"""Remedies that are proven: a fault, the playbook that is written for it, and no fault."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailwitness import cli
from mailwitness.checks import all_checks
from tests.lab.audit import ROOT, playbook
from tests.lab.description import Certificate
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.lab.test_audit import Run, failures, run
from tests.lab.test_connector import connector

pytestmark = pytest.mark.lab

_POSTFIX_OLD = """
postconf -e 'smtpd_tls_auth_only = no' 'tls_high_cipherlist = ALL:@SECLEVEL=0' \
    'tls_medium_cipherlist = ALL:@SECLEVEL=0' \
    'smtpd_tls_protocols = >=TLSv1' 'smtpd_tls_mandatory_protocols = >=TLSv1'
postconf -P 'submission/inet/smtpd_tls_security_level=may' \
    'submission/inet/tls_medium_cipherlist=ALL:@SECLEVEL=0'
postfix reload
"""
# How each host is made faulty where its description does not do so already.
FAULTS = {
    "legacy": "",
    "stale": "",
    "plain": "",
    "good": """
cat >/etc/dovecot/host.conf <<END
ssl = yes
ssl_min_protocol = TLSv1
ssl_cipher_list = ALL:@SECLEVEL=0
disable_plaintext_auth = no
END
doveadm reload
"""
    + _POSTFIX_OLD,
    "dovecot24": """
cat >/etc/dovecot/host.conf <<END
ssl = yes
ssl_min_protocol = TLSv1
ssl_cipher_list = ALL:@SECLEVEL=0
auth_allow_cleartext = yes
END
doveadm reload
"""
    + _POSTFIX_OLD,
    "expired": "",
    "misnamed": "",
    "neglected": "",
    "unreloaded": "",
    "overridden": "",
}
SUITES = {
    "legacy": "Debian 11",
    "good": "Debian 12",
    "stale": "Debian 12",
    "plain": "Debian 11",
    "dovecot24": "Debian 13",
    "expired": "Debian 12",
    "misnamed": "Debian 13",
    "neglected": "Debian 12",
    "unreloaded": "Debian 12",
    "overridden": "Debian 13",
}
BY_HAND = {"overridden": "override-weakens"}  # advice that no playbook holds is typed
CURED = {
    "legacy": {
        *("tls-legacy-version", "auth-cleartext", "tls-required"),
        *("certificate-self-signed", "certificate-name-mismatch", "tls-weak-key-exchange"),
    },
    "good": {"tls-legacy-version", "auth-cleartext", "tls-required", "tls-weak-key-exchange"},
    "dovecot24": {"tls-legacy-version", "auth-cleartext", "tls-required", "tls-weak-key-exchange"},
    "stale": {"certificate-not-reloaded"},
    "plain": {"imap-available"},
    "expired": {"certificate-expired"},
    "misnamed": {"certificate-name-mismatch"},
    "neglected": {
        *("listener-down", "certificate-expiring", "auth-password-available"),
        *("certificate-weak-key", "certificate-chain-incomplete"),
    },
    "unreloaded": {"config-not-reloaded"},
    "overridden": {"override-weakens"},
}
RELOADED = ("stale", "neglected", "unreloaded")  # which is done each time
NEW = ("/etc/ssl/new/fullchain.pem", "/etc/ssl/new/privkey.pem")
FILES = ("-e", f"certificate={NEW[0]}", "-e", f"certificate_key={NEW[1]}")
LIMIT = ("--limit", ",".join(FAULTS))


@dataclass(frozen=True)
class Cure:
    before: Run
    playbook: Path
    checked: "subprocess.CompletedProcess[str]"
    unchanged: bool  # by check mode
    applied: "subprocess.CompletedProcess[str]"
    again: "subprocess.CompletedProcess[str]"
    after: Run


@pytest.fixture(scope="module")
def cure(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cure]:
    folder = tmp_path_factory.mktemp("remedy")
    machines = {name: lab.machine(name) for name in FAULTS}
    try:
        for name, script in FAULTS.items():
            done = machines[name].run(("/bin/sh", "-e", "-c", script))
            assert done.returncode == 0, done.stderr
            lab.authority.issue(_certificate(lab.hosts[name].names), machines[name].root)
        before = run(lab, folder / "before", *LIMIT)
        written = folder / "remedies.yml"
        written.write_text(_written(before))
        states = {name: _configuration(machine) for name, machine in machines.items()}
        checked = _ansible(lab, written, *FILES, "--check", "--diff")
        unchanged = states == {name: _configuration(machine) for name, machine in machines.items()}
        applied = _ansible(lab, written, *FILES, "--diff")
        for name, check in BY_HAND.items():
            _type(before, machines[name], check)
        after = run(lab, folder / "after", *LIMIT)
        settled = [name for name in FAULTS if name not in RELOADED]
        again = _ansible(lab, written, *FILES, "--limit", ",".join(settled))
        yield Cure(before, written, checked, unchanged, applied, again, after)
    finally:
        for machine in machines.values():
            machine.halt()
        lab.up()


def _certificate(names: tuple[str, ...]) -> Certificate:
    """A new one, as it comes from the authority."""
    return Certificate(
        *NEW, names, "ec", chain=True, self_signed=False, days=(-1, 89), after_boot=False
    )


def _type(before: Run, machine: Machine, check: str) -> None:
    """What the findings of the check say to do, as somebody would who reads it."""
    findings = before.host(machine.description.name)["findings"]
    failing = [each for each in findings if each["check"] == check and each["outcome"] == "fail"]
    for text in dict.fromkeys(each["text"] for one in failing for each in one["remedies"]):
        done = machine.run(("/bin/sh", "-e", "-c", text))
        assert done.returncode == 0, text + done.stderr


def _written(before: Run) -> str:
    tool = Path(playbook(before.output, before.output)[0]).with_name("mailwitness")
    hosts = [word for name in FAULTS for word in ("--host", name)]
    done = subprocess.run(
        (tool, "remedy", before.output / "report.json", *hosts),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _configuration(machine: Machine) -> str:
    """Every file of the daemons' configuration, by its content."""
    find = "find /etc/dovecot /etc/postfix -type f -exec sha256sum {} + | sort"
    return machine.run(("/bin/sh", "-c", find)).stdout


def _ansible(lab: Lab, written: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    tool = playbook(lab.inventory, written)[0]
    return subprocess.run(
        (tool, "-i", str(lab.inventory), str(written), *options),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_and_after_the_remedy_it_is_gone(cure: Cure, name: str) -> None:
    before, after = (failures(each.host(name)) for each in (cure.before, cure.after))
    assert CURED[name] <= {check for check, _ in before}
    assert cure.applied.returncode == 0, cure.applied.stdout + cure.applied.stderr
    assert not CURED[name] & {check for check, _ in after}
    assert after <= before, "something new has appeared"


@pytest.mark.parametrize("name", FAULTS)
def test_mail_still_answers(lab: Lab, cure: Cure, name: str) -> None:
    assert cure.applied.returncode == 0
    client = connector(lab, name)
    assert client.reads_by(143)
    # Of `plain` IMAP alone could be cured: which certificate is Postfix's nobody has said.
    assert client.reads_by(993) == client.sends_by(587) == (name != "plain")


def test_check_mode_shows_the_difference_and_makes_none(cure: Cure) -> None:
    assert cure.checked.returncode == 0, cure.checked.stdout + cure.checked.stderr
    assert cure.unchanged
    assert "+ssl_min_protocol = TLSv1.2" in cure.checked.stdout
    assert "+smtpd_tls_auth_only = yes" in cure.checked.stdout


def test_a_second_run_changes_nothing(cure: Cure) -> None:
    assert cure.again.returncode == 0, cure.again.stdout
    recap = cure.again.stdout.rpartition("PLAY RECAP")[2]
    assert recap.count("changed=0") == len(FAULTS) - len(RELOADED) - len(BY_HAND), recap


def test_files_that_changed_are_kept(lab: Lab, cure: Cure) -> None:
    assert cure.applied.returncode == 0
    kept = lab.machine("good").run(("/bin/sh", "-c", "ls /etc/postfix /etc/dovecot")).stdout
    assert "main.cf." in kept
    assert "dovecot.conf." in kept


def test_what_the_checks_say_to_be_proven_is_what_is_proven_here(cure: Cure) -> None:
    """By check, product, range of versions and release; the pages of the checks say so."""
    assert cure.applied.returncode == 0
    shown = set()
    for name, suite in SUITES.items():
        its, after = cure.before.host(name), failures(cure.after.host(name))
        products = {
            each["id"]: each["configured"]["product"]
            for each in its["endpoints"]
            if "product" in each["configured"]
        }
        for finding in its["findings"]:
            check, endpoint = finding["check"], finding["endpoint"]
            cured = finding["outcome"] == "fail" and (check, endpoint) not in after
            cured = cured and BY_HAND.get(name) != check
            shown |= {
                (check, remedy["product"], remedy["versions"], suite)
                for remedy in finding["remedies"]
                # A failure that goes with its root is cured by the root's remedy, not its own.
                if cured and not finding["causes"] and remedy["product"] == products.get(endpoint)
            }
    claimed = {
        (check.id, remedy.product, remedy.versions, suite)
        for check in all_checks()
        for remedy in check.remedies
        for suite in remedy.proven
    }
    assert claimed == shown


def test_nothing_is_applied_by_writing_it(cure: Cure) -> None:
    assert cli.main(["remedy", str(cure.before.output / "report.json"), "--host", "good"]) == cli.OK
