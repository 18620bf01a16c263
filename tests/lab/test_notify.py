"""Changes go out by a real Postfix, over verified TLS, and arrive in a real Dovecot: once."""

import email
import imaplib
import json
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from mailwitness import cli
from mailwitness.store.database import Database
from mailwitness.store.history import History
from tests.lab.lab import Lab
from tests.store import samples

pytestmark = pytest.mark.lab

SERVER, MAILBOX = "good.lab.example", "tester@mail.lab.example"
# Postfix delivers into the folder that Dovecot reads.
DELIVERY = (
    "virtual_mailbox_domains=mail.lab.example",
    "virtual_mailbox_base=/srv/mail",
    "virtual_mailbox_maps=inline:{tester@mail.lab.example=tester/}",
    "virtual_minimum_uid=8",
    "virtual_uid_maps=static:8",
    "virtual_gid_maps=static:8",
)


@pytest.fixture
def delivers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mail for the tester is delivered at host good, and its name is known here."""
    good = lab.machine("good")
    good.run(("postconf", "-e", *DELIVERY))
    good.run(("postfix", "reload"))
    resolve = socket.getaddrinfo

    def known(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve(lab.hosts["good"].ipv4 if host == SERVER else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    monkeypatch.setenv("MAILWITNESS_SMTP_PASSWORD", lab.password)
    yield
    good.run(("postconf", "-X", *(setting.partition("=")[0] for setting in DELIVERY)))
    good.run(("postfix", "reload"))


def save(store: Path, folder: Path, day: int, *to: str, hosts: tuple[str, ...]) -> None:
    evidence = samples.evidence(folder, day, hosts)
    run = json.loads((evidence / "run.json").read_text())
    for host in run["hosts"]:
        host["contacts"] = list(to)
    (evidence / "run.json").write_text(json.dumps(run))
    History(Database(str(store), create=True)).save(evidence, samples.report(evidence))


def inbox(lab: Lab) -> list[EmailMessage]:
    context = ssl.create_default_context(cafile=str(lab.authority.root))
    with imaplib.IMAP4_SSL(SERVER, ssl_context=context) as client:
        client.login("tester", lab.password)
        client.select("INBOX", readonly=True)
        _, (numbers,) = client.search(None, "HEADER", "Auto-Submitted", "auto-generated")
        found = []
        for number in numbers.split():
            _, parts = client.fetch(number, "(RFC822)")
            assert isinstance(parts[0], tuple)
            found.append(email.message_from_bytes(parts[0][1], policy=default))
        return found


def arrived(lab: Lab, count: int) -> list[EmailMessage]:
    """The mails, once so many have been delivered."""
    waits = f"until [ $(ls /srv/mail/tester/new | wc -l) -ge {count} ]; do sleep 0.2; done"
    lab.machine("good").run(("timeout", "20", "sh", "-c", waits))
    return inbox(lab)


@pytest.mark.usefixtures("delivers")
@pytest.mark.parametrize("port", [465, 587])
def test_each_change_arrives_once(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int
) -> None:
    store = tmp_path / "history.sqlite"
    notify = (
        *("notify", "--store", str(store), "--server", f"{SERVER}:{port}", "--user", "tester"),
        *("--from", "mailwitness@lab.example", "--trust-store", str(lab.authority.root)),
    )
    before = len(inbox(lab))
    save(store, tmp_path / "1", 1, MAILBOX, "nosuch@mail.lab.example", hosts=("good", "expired"))
    assert cli.main(notify) == cli.NOT_AUDITED
    assert "nosuch@mail.lab.example is not told" in capsys.readouterr().err
    save(store, tmp_path / "2", 2, MAILBOX, hosts=("good", "expired"))
    assert cli.main(notify) == cli.OK  # nothing has changed in the night
    assert capsys.readouterr().out == ""
    save(store, tmp_path / "3", 3, MAILBOX, hosts=("good", "dead"))
    assert cli.main(notify) == cli.OK
    first, second = arrived(lab, before + 2)[before:]
    # In January no certificate of the recording was valid yet.
    assert "new on 2 hosts" in first["Subject"]
    pages = {part.get_filename() for part in first.iter_attachments()}
    assert pages == {"expired.html", "good.html"}
    assert "gone dark" in second["Subject"]
    plain = second.get_body(("plain",))
    assert plain is not None
    assert "expired: the host is not in the run" in plain.get_content()


@pytest.mark.usefixtures("delivers")
def test_no_password_goes_to_a_server_that_is_not_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "history.sqlite"
    save(store, tmp_path / "1", 1, MAILBOX, hosts=("expired",))
    options = ("--from", "mailwitness@lab.example", "--user", "tester")
    for port in (465, 587):
        server = ("--server", f"{SERVER}:{port}")
        assert cli.main(("notify", "--store", str(store), *server, *options)) == cli.USAGE
        assert "does not prove that it is it" in capsys.readouterr().err
    assert cli.main(("notify", "--store", str(store), "--server", f"{SERVER}:25", *options)) == (
        cli.USAGE
    )
