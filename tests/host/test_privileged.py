"""What may be asked of sudo, and what docs/sudoers grants."""

from mailwitness.host import privileged
from tests.docs import ROOT


def test_the_document_grants_exactly_what_is_asked() -> None:
    text = (ROOT / "docs" / "sudoers").read_text()
    lines = [line.strip(" ,\\") for line in text.splitlines() if line.startswith("    /")]
    granted = set()
    for line in lines:
        path, *words = line.split()
        words = [word.replace("\\*", "*") for word in words if word != '""']
        if words[-1:] == ["[A-Za-z0-9]*"]:
            words[-1] = privileged.NAME
        granted.add((path.rsplit("/", 1)[1], *words))
    old_names = {("iptables-save",), ("ip6tables-save",)}  # before iptables 1.8, of RHEL 7
    assert granted == set(privileged.COMMANDS) - old_names


def test_a_command_with_another_word_is_not_asked_of_sudo() -> None:
    assert privileged.needs_root(("nft", "-j", "list", "ruleset"))
    assert privileged.needs_root(("fail2ban-client", "status", "sshd"))
    assert not privileged.needs_root(("nft", "flush", "ruleset"))
    assert not privileged.needs_root(("doveconf", "-n"))
