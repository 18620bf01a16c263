import pytest

from mailwitness.evidence.host import PostfixInstance
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host.postfix_instances import postfix_instances

# The form of postmulti(1), "-l".
LISTED = """\
-               -               y         /etc/postfix
postfix-out     outgoing        y         /etc/postfix-out
-               -               n         /srv/mail relay/postfix
"""


def test_the_default_instance_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run", lambda _: LISTED)
    assert postfix_instances() == (
        PostfixInstance("postfix-out", "/etc/postfix-out", enabled=True),
        PostfixInstance(None, "/srv/mail relay/postfix", enabled=False),
    )


def test_what_is_no_list_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run", lambda _: "- - y /etc/postfix\nwhat\n")
    assert isinstance(postfix_instances(), Missing)
