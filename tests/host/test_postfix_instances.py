from collections.abc import Sequence

import pytest

from mailwitness.evidence.host import Postfix, PostfixInstance
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.postfix_instances import postfix_instances
from tests.host.replay import Replay

# The form of postmulti(1), "-l".
LISTED = """\
-               -               y         /etc/postfix
postfix-out     outgoing        y         /etc/postfix-out
-               -               n         /srv/mail relay/postfix
"""


def test_those_that_are_started_are_inspected(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Replay("bookworm/postfix")
    asked: list[str] = []

    def run(argv: Sequence[str]) -> str | Missing:
        if argv[0] == "postmulti":
            return LISTED
        assert argv[:2] == ("postconf", "-c")
        asked.append(argv[2])
        return recorded(("postconf", *argv[3:]))

    monkeypatch.setattr(command, "run", run)
    found = postfix_instances()
    assert isinstance(found, tuple)
    assert set(asked) == {"/etc/postfix-out"}
    started, stopped = (each.instance for each in found)
    assert (started.name, started.enabled) == ("postfix-out", True)
    assert isinstance(started.postfix, Postfix)
    assert 587 in [service.port for service in started.postfix.services]
    assert stopped == PostfixInstance(None, "/srv/mail relay/postfix", enabled=False, postfix=None)


def test_more_instances_than_are_looked_into_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"out{number} - y /etc/out{number}" for number in range(12)]
    answers = {"postmulti": "\n".join(("- - y /etc/postfix", *lines))}
    monkeypatch.setattr(command, "run", lambda argv: answers.get(argv[0], Missing("broken")))
    found = postfix_instances()
    assert isinstance(found, tuple)
    reasons = [each.instance.postfix for each in found]
    assert reasons[:10] == [Missing("broken")] * 10
    assert all("more than 10" in str(reason) for reason in reasons[10:])


def test_what_is_no_list_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run", lambda _: "- - y /etc/postfix\nwhat\n")
    assert isinstance(postfix_instances(), Missing)
