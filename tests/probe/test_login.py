"""A real login: who hears of the account, what is tried, and what of it can be read afterwards."""

import base64
import hashlib
import json
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailwitness.evidence.codec import dumps
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Login, LoginStep, Observation, Protocol, TlsMode
from mailwitness.probe.run import Manner, probe
from mailwitness.probe.targets import Account, Target, fingerprint
from tests.probe.looking import PATIENT, usual
from tests.probe.scripted import GREETING, Peer, context, identity, serving

NAME = "mail.example.com"
USER, PASSWORD = "tester@example.com", 'p"a\\ss {5}\u00fc'
BRIEF = Manner(depth="brief")


@dataclass
class Mailbox:
    """A server with one account; it says back what it hears, and keeps the commands."""

    tls: ssl.SSLContext
    protocol: Protocol
    mode: TlsMode
    offer: bytes
    password: str = PASSWORD
    code: bytes = b""  # of a refusal, in place of the usual one
    heard: list[bytes] = field(default_factory=list)

    def __call__(self, peer: Peer) -> None:
        if self.mode == "starttls":
            peer.send(GREETING[self.protocol])
            self._before(peer)
        inner = peer.start_tls(self.tls)
        try:
            if self.mode == "implicit":
                inner.send(GREETING[self.protocol])
            self._inside(inner)
        finally:
            inner.close()

    def _before(self, peer: Peer) -> None:
        while line := peer.line():
            self.heard.append(b"in clear: " + line)
            if b"STARTTLS" in line:
                peer.send(b"a2 OK begin\r\n" if self.protocol == "imap" else b"220 go\r\n")
                return
            self._offer(peer, b" STARTTLS LOGINDISABLED", b"250 STARTTLS\r\n")

    def _offer(self, peer: Peer, imap: bytes, smtp: bytes) -> None:
        if self.protocol == "imap":
            peer.send(b"* CAPABILITY IMAP4rev1" + imap + b"\r\na1 OK done\r\n")
        else:
            peer.send(b"250-mail\r\n" + smtp)

    def _inside(self, peer: Peer) -> None:
        while line := peer.line():
            self.heard.append(line)
            if b"CAPABILITY" in line or line.startswith(b"EHLO"):
                self._offer(peer, b" " + self.offer, b"250 " + self.offer + b"\r\n")
            elif self.protocol == "imap":
                self._imap(peer, line)
            else:
                self._smtp(peer, line)

    def _right(self, *words: bytes) -> bool:
        return list(words) == [USER.encode(), self.password.encode()]

    def _plain(self, word: bytes) -> bool:
        return self._right(*base64.b64decode(word).split(b"\0")[1:])

    def _imap(self, peer: Peer, line: bytes) -> None:
        tag, command, *rest = line.split()
        if command == b"LOGIN":
            user = self._literal(peer, rest[0])
            password = self._literal(peer, peer.line())
            peer.line()
            self._answer_imap(peer, tag, right=self._right(user, password), said=user + password)
        elif command == b"AUTHENTICATE":
            word = rest[1] if len(rest) > 1 else self._continued(peer, b"+ \r\n")
            self._answer_imap(peer, tag, right=self._plain(word), said=word)
        elif command == b"SELECT":
            peer.send(b"* 3 EXISTS\r\n" + tag + b" OK [READ-WRITE] done\r\n")

    def _literal(self, peer: Peer, announced: bytes) -> bytes:
        found = re.search(rb"\{(\d+)\}$", announced)
        assert found
        peer.send(b"+ go on\r\n")
        return peer._reader.read(int(found.group(1)))

    def _continued(self, peer: Peer, prompt: bytes) -> bytes:
        peer.send(prompt)
        return peer.line()

    def _answer_imap(self, peer: Peer, tag: bytes, *, right: bool, said: bytes) -> None:
        if right:
            peer.send(tag + b" OK [CAPABILITY IMAP4rev1] hello " + said + b"\r\n")
        else:
            code = self.code or b"[AUTHENTICATIONFAILED]"
            peer.send(tag + b" NO " + code + b" not " + said + b"\r\n")

    def _smtp(self, peer: Peer, line: bytes) -> None:
        if line.startswith(b"AUTH PLAIN "):
            right, said = self._plain(line.split()[2]), line.split()[2]
        elif line == b"AUTH LOGIN":
            user = base64.b64decode(self._continued(peer, b"334 VXNlcm5hbWU6\r\n"))
            password = base64.b64decode(self._continued(peer, b"334 UGFzc3dvcmQ6\r\n"))
            right, said = self._right(user, password), user + password
        elif line == b"NOOP":
            peer.send(b"250 2.0.0 Ok\r\n")
            return
        else:
            return
        if right:
            peer.send(b"235 2.7.0 hello " + said + b"\r\n")
        else:
            peer.send((self.code or b"535 5.7.8") + b" not " + said + b"\r\n")


def account(**more: object) -> Account:
    given = {"certificates": (), "trust_store": identity(NAME).issuers[-1], **more}
    return Account(USER, PASSWORD, **given)  # type: ignore[arg-type]


def logins(
    *ports: int, name: str = NAME, who: Account | None = None
) -> list[Login | Missing | None]:
    target = Target("mail1", "127.0.0.1", (name,), ports, who or account())
    (found,) = probe([target], "here", PATIENT, BRIEF)
    assert isinstance(found.observations, tuple)
    unreadable(dumps(found))
    return [seen.login for seen in found.observations]


def unreadable(text: str) -> None:
    """No way to write the account's name or password is in it."""
    words = [USER, "tester", PASSWORD, json.dumps(PASSWORD)[1:-1], "ss {5}"]
    plain = f"\0{USER}\0{PASSWORD}".encode()
    words += [base64.b64encode(each.encode()).decode() for each in (USER, PASSWORD)]
    words.append(base64.b64encode(plain).decode())
    assert not [word for word in words if word in text]


def server(
    tmp_path: Path, protocol: Protocol, mode: TlsMode, offer: bytes, **more: object
) -> Mailbox:
    return Mailbox(context(tmp_path, NAME), protocol, mode, offer, **more)  # type: ignore[arg-type]


SELECTED = LoginStep("SELECT INBOX", accepted=True, answer="OK [READ-WRITE]")
NOOP = LoginStep("NOOP", accepted=True, answer="250 2.0.0")


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
@pytest.mark.parametrize(
    ("protocol", "offer", "steps"),
    [
        ("imap", b"SASL-IR AUTH=PLAIN", ("AUTHENTICATE PLAIN", "OK [CAPABILITY]", SELECTED)),
        ("imap", b"AUTH=PLAIN", ("AUTHENTICATE PLAIN", "OK [CAPABILITY]", SELECTED)),
        ("imap", b"IDLE", ("LOGIN", "OK [CAPABILITY]", SELECTED)),
        ("smtp", b"AUTH PLAIN LOGIN", ("AUTH PLAIN", "235 2.7.0", NOOP)),
        ("smtp", b"AUTH LOGIN", ("AUTH LOGIN", "235 2.7.0", NOOP)),
    ],
)
def test_the_account_logs_in(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    protocol: Protocol,
    mode: TlsMode,
    offer: bytes,
    steps: tuple[str, str, LoginStep],
) -> None:
    mailbox = server(tmp_path, protocol, mode, offer)
    with serving(mailbox) as there:
        usual(monkeypatch, there.port, protocol, mode)
        (login,) = logins(there.port)
    command, answer, after = steps
    expected = (LoginStep(command, accepted=True, answer=answer), after)
    assert login == Login(NAME, "chain", expected)
    clear = [line for line in mailbox.heard if line.startswith(b"in clear: ")]
    assert not any(b"AUTH" in line or b"LOGIN" in line for line in clear)


@pytest.mark.parametrize(
    ("protocol", "offer", "step"),
    [
        ("imap", b"AUTH=PLAIN", ("AUTHENTICATE PLAIN", "NO [AUTHENTICATIONFAILED]")),
        ("smtp", b"AUTH PLAIN", ("AUTH PLAIN", "535 5.7.8")),
    ],
)
def test_a_refusal_is_tried_once_and_not_at_the_next_port(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    protocol: Protocol,
    offer: bytes,
    step: tuple[str, str],
) -> None:
    one, other = (server(tmp_path, protocol, "implicit", offer, password="other") for _ in "ab")
    with serving(one) as first, serving(other) as second:
        for there in (first, second):
            usual(monkeypatch, there.port, protocol, "implicit")
        refused, untried = logins(first.port, second.port)
    assert refused == Login(NAME, "chain", (LoginStep(step[0], accepted=False, answer=step[1]),))
    assert untried == Missing(
        f"not tried, since port {first.port} of 127.0.0.1 refused the account"
    )
    assert not any(b"AUTH" in line for line in other.heard)


@pytest.mark.parametrize(
    ("protocol", "offer", "code", "reason"),
    [
        ("imap", b"AUTH=PLAIN", b"[UNAVAILABLE]", "not now: .* answered NO .UNAVAILABLE."),
        ("imap", b"LOGINDISABLED AUTH=SCRAM-SHA-256", b"", "has: SCRAM-SHA-256"),
        ("smtp", b"AUTH PLAIN", b"454 4.7.0", "not now: AUTH PLAIN answered 454 4.7.0"),
        ("smtp", b"AUTH CRAM-MD5", b"", "has: CRAM-MD5"),
        ("smtp", b"SIZE", b"", "has: none"),
    ],
)
def test_what_is_no_refusal_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    protocol: Protocol,
    offer: bytes,
    code: bytes,
    reason: str,
) -> None:
    mailbox = server(tmp_path, protocol, "implicit", offer, code=code, password="other")
    with serving(mailbox) as there:
        usual(monkeypatch, there.port, protocol, "implicit")
        (login,) = logins(there.port)
    assert isinstance(login, Missing)
    assert re.search(reason, login.reason), login


class TestTrust:
    def log_in(
        self,
        monkeypatch: pytest.MonkeyPatch,
        mailbox: Mailbox,
        name: str,
        who: Account,
        mode: TlsMode = "implicit",
    ) -> Login | Missing | None:
        with serving(mailbox) as there:
            usual(monkeypatch, there.port, "imap", mode)
            (login,) = logins(there.port, name=name, who=who)
        return login

    @pytest.mark.parametrize("mode", ["implicit", "starttls"])
    @pytest.mark.parametrize(
        ("name", "trust_store", "problem"),
        [
            (NAME, None, "certificate: "),
            ("other.example.com", "its", "Hostname mismatch"),
            ("127.0.0.1", "its", "IP address mismatch"),
        ],
    )
    def test_who_is_not_proven_hears_nothing(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        mode: TlsMode,
        name: str,
        trust_store: str | None,
        problem: str,
    ) -> None:
        mailbox = server(tmp_path, "imap", mode, b"AUTH=PLAIN")
        who = account() if trust_store else account(trust_store=None)
        login = self.log_in(monkeypatch, mailbox, name, who, mode)
        assert isinstance(login, Missing)
        assert login.reason.startswith(f"not tried, for {name} is not proven: ")
        assert problem in login.reason
        assert not any(b"AUTH" in line for line in mailbox.heard)

    def test_an_exception_is_for_that_certificate(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mailbox = server(tmp_path, "imap", "implicit", b"AUTH=PLAIN")
        der = ssl.PEM_cert_to_DER_cert(identity(NAME).leaf)
        its = fingerprint(hashlib.sha256(der).hexdigest().upper())
        who = account(trust_store=None, certificates=(its,))
        login = self.log_in(monkeypatch, mailbox, "other.example.com", who)
        assert isinstance(login, Login)
        assert (login.trusted_by, [step.accepted for step in login.steps]) == (
            "fingerprint",
            [True, True],
        )

    def test_and_for_no_other(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        mailbox = server(tmp_path, "imap", "implicit", b"AUTH=PLAIN")
        who = account(trust_store=None, certificates=("0" * 64,))
        login = self.log_in(monkeypatch, mailbox, NAME, who)
        assert isinstance(login, Missing)
        assert "none of the certificates that are excepted" in login.reason
        assert not any(b"AUTH" in line for line in mailbox.heard)

    def test_an_exception_is_not_needed_where_the_chain_is_trusted(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mailbox = server(tmp_path, "imap", "implicit", b"AUTH=PLAIN")
        login = self.log_in(monkeypatch, mailbox, NAME, account(certificates=("0" * 64,)))
        assert isinstance(login, Login)
        assert login.trusted_by == "chain"

    def test_without_tls_nothing_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        heard: list[bytes] = []

        def script(peer: Peer) -> None:
            peer.send(GREETING["imap"])
            while line := peer.line():
                heard.append(line)
                peer.send(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK done\r\n")

        with serving(script) as there:
            usual(monkeypatch, there.port, "imap", "starttls")
            (login,) = logins(there.port)
        assert login == Missing("no login came about: STARTTLS not-offered: ")
        assert not any(b"LOGIN " in line or b"AUTH" in line for line in heard)

    def test_words_behind_starttls_end_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mailbox = server(tmp_path, "imap", "starttls", b"AUTH=PLAIN")
        before = mailbox._before

        def injected(peer: Peer) -> None:
            before(peer)
            if len(mailbox.heard) > 2:
                peer.send(b"* CAPABILITY AUTH=PLAIN\r\n")

        monkeypatch.setattr(mailbox, "_before", injected)
        login = self.log_in(monkeypatch, mailbox, NAME, account(), "starttls")
        assert isinstance(login, Missing)
        assert not any(b"AUTHENTICATE" in line for line in mailbox.heard)


def test_nobody_logs_in_on_port_25_nor_by_pop3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mailbox = server(tmp_path, "smtp", "implicit", b"AUTH PLAIN")
    with serving(mailbox) as there:
        usual(monkeypatch, there.port, "pop3", "implicit")
        (login,) = logins(there.port)
    assert login is None
    assert not any(b"AUTH" in line for line in mailbox.heard)


def test_where_there_is_no_conversation_there_is_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: None) as there:
        usual(monkeypatch, there.port, "imap", "starttls")
        (login,) = logins(there.port)
    assert login == Missing("connection closed")


def test_an_account_does_not_show_itself() -> None:
    target = Target("mail1", "127.0.0.1", (), (993,), account())
    unreadable(repr(target) + repr(account()))


@pytest.mark.parametrize("text", ["", "0" * 63, "g" * 64, "sha256:" + "0" * 64])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        fingerprint(text)


def test_nothing_is_asked_without_an_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mailbox = server(tmp_path, "imap", "implicit", b"AUTH=PLAIN")
    with serving(mailbox) as there:
        usual(monkeypatch, there.port, "imap", "implicit")
        (found,) = probe([Target("m", "127.0.0.1", (), (there.port,))], "here", PATIENT, BRIEF)
    assert isinstance(found.observations, tuple)
    assert [seen.login for seen in found.observations if isinstance(seen, Observation)] == [None]
