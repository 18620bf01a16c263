"""What no allowlist names does not leave the host, wherever a configuration may hold it."""

import pytest

from mailwitness.evidence.codec import dumps
from mailwitness.evidence.host import Dovecot, Postfix
from mailwitness.host import command
from mailwitness.host.inspect import Request, inspect
from tests.host.record import CONFIGURATION
from tests.host.replay import CANARY, RELEASES, Replay


@pytest.mark.parametrize("release", RELEASES)
def test_a_secret_of_the_configuration_is_in_no_evidence(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    replay = Replay(f"{release}/software", f"{release}/postfix", f"{release}/dovecot")
    absent = command.NotInstalled("not installed")
    for program in ("nft", "iptables-nft-save", "ip6tables-nft-save", "ipset"):
        for argv in ((program,), (program, "save"), (program, "-j", "list", "ruleset")):
            replay.answers[argv] = absent
    monkeypatch.setattr(command, "run", replay)
    evidence = inspect(Request("mail1", "", ()), lambda _: ())
    assert isinstance(evidence.postfix, Postfix)
    assert isinstance(evidence.dovecot, Dovecot)
    assert CANARY not in dumps(evidence)


@pytest.mark.parametrize("release", RELEASES)
def test_the_recorded_commands_did_print_secrets(release: str) -> None:
    for product in ("postfix", "dovecot"):
        answers = Replay(f"{release}/{product}").answers.values()
        assert any(CANARY in answer for answer in answers if isinstance(answer, str))


def test_the_recorded_configurations_hold_secrets() -> None:
    for file in ("postfix/main.cf", "postfix/master.cf", "dovecot23/dovecot.conf"):
        assert CANARY in (CONFIGURATION / file).read_text("utf-8")
