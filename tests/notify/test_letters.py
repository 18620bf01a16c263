"""Who is told what, and how it is written."""

from pathlib import Path
from typing import Any

import pytest

from mailwitness.notify.contact import contacts, mail_address
from mailwitness.notify.letters import letter
from mailwitness.notify.message import LetterError, Writer
from tests.report.hostile import ATTACKS

OPS, CRM = "ops@example.com", "crm@example.com"
FAILED = {
    "check": "certificate-expired",
    "endpoint": "imaps:993",
    "outcome": "fail",
    "severity": "critical",
    "detail": "the certificate has expired",
    "causes": [],
}


def host(name: str, *to: str, failed: bool = False, **more: Any) -> dict[str, Any]:
    found = {"name": name, "contacts": list(to), "status": "audited", "reason": None}
    return {**found, "findings": [FAILED] if failed else [], **more}


def report(*hosts: dict[str, Any]) -> dict[str, Any]:
    return {"collected_at": "2026-01-02T03:00:00Z", "hosts": list(hosts)}


def told(to: str, before: dict[str, Any] | None, after: dict[str, Any]) -> list[tuple[str, str]]:
    found = letter(to, before, after)
    return [(change.kind, change.host) for change in found.changes] if found else []


def test_who_was_never_told_hears_of_every_failure_of_their_own_hosts() -> None:
    now = report(host("a", OPS, failed=True), host("b", OPS), host("c", CRM, failed=True))
    assert told(OPS, None, now) == [("new", "a")]
    assert told(CRM, None, now) == [("new", "c")]
    assert told("nobody@example.com", None, now) == []


def test_what_was_told_is_not_told_again() -> None:
    before = report(host("a", OPS, failed=True))
    assert told(OPS, before, before) == []
    assert told(OPS, before, report(host("a", OPS))) == [("fixed", "a")]


def test_a_host_with_another_contact_now_is_not_gone_and_one_of_nobody_s_is() -> None:
    before = report(host("a", OPS, failed=True), host("b", OPS))
    assert told(OPS, before, report(host("a", CRM, failed=True))) == [("gone dark", "b")]
    assert told(CRM, before, report(host("a", CRM, failed=True), host("b", OPS))) == []


def test_a_letter_shows_no_host_of_others() -> None:
    now = report(host("a", OPS, failed=True), host("c", CRM, failed=True))
    found = letter(OPS, None, now)
    assert found is not None
    assert [each["name"] for each in found.report["hosts"]] == ["a"]
    assert found.subject == "mailwitness: 1 new on 1 host"


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_a_server_says_stays_text(monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    monkeypatch.setattr("mailwitness.notify.message.one_host", lambda *_: "the page")
    failed = {**FAILED, "detail": attack + "\r\nBcc: all@example.com"}
    found = letter(OPS, None, report(host("a", OPS, findings=[failed])))
    assert found is not None
    mail = Writer("mailwitness@example.com").write(found)
    assert mail["Bcc"] is None
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    said = text.get_content() + html.get_content()
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "<script>" not in html.get_content()
    assert max(map(len, mail.as_bytes().splitlines())) <= 998  # RFC 5322 §2.1.1


def test_a_template_of_one_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mailwitness.notify.message.one_host", lambda *_: "the page")
    (tmp_path / "letter.txt.j2").write_text("{{ letter.changes | length }} changes, says ACME")
    found = letter(OPS, None, report(host("a", OPS, failed=True)))
    assert found is not None
    plain = Writer("mailwitness@example.com", tmp_path).write(found).get_body(("plain",))
    assert plain is not None
    assert plain.get_content() == "1 changes, says ACME\n"
    (tmp_path / "letter.txt.j2").write_text("\n{{ letter.changes | nosuch }}")
    with pytest.raises(LetterError, match=r"letter\.txt\.j2 line 2: .*nosuch"):
        Writer("mailwitness@example.com", tmp_path).write(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "ops@",
        "@example.com",
        "a@b\nBcc: c@d",
        "Ops <o@b.de>",
        "a@b, c@d",
        "ö@b.de",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no mail address"):
        mail_address(text)


def test_contacts_of_the_inventory() -> None:
    assert contacts([OPS, OPS, CRM]) == (OPS, CRM)
    for wrong in (OPS, 5, {"a": 1}):
        with pytest.raises(TypeError, match="mailwitness_contacts: a list"):
            contacts(wrong)
