"""A real login with a test account, over a connection whose other end is known for certain.

Neither name nor password is in what comes of it, and no word of a server that has heard them:
it may say them back. What is kept of its answers are codes.
"""

import base64
import hashlib
import re
import ssl
from abc import ABC, abstractmethod
from typing import NamedTuple, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import (
    Capabilities,
    Login,
    LoginStep,
    Protocol,
    TlsMode,
    Trusted,
)
from mailwitness.probe.channel import Channel, ChannelError, TlsChannel, UntrustedError
from mailwitness.probe.dialogues import DIALOGUES, Dialogue, text
from mailwitness.probe.targets import Account

_MAX_LINES = 200
# RFC 5530 and RFC 9051 §7.1, as far as they can answer a login or SELECT.
_IMAP_CODES = frozenset(
    {
        *("ALERT", "CAPABILITY", "READ-ONLY", "READ-WRITE"),
        *("AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "NOPERM"),
        *("UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "SERVERBUG", "CLIENTBUG", "CONTACTADMIN"),
        *("CANNOT", "NONEXISTENT"),
    }
)
_IMAP_FOR_NOW = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})
_IMAP_ANSWER = re.compile(r"\w+ (OK|NO|BAD)\b(?: \[([A-Z-]+)[ \]])?", re.IGNORECASE)
_SMTP_ANSWER = re.compile(r"([2-5]\d\d)[ -]?(?:([245]\.\d{1,3}\.\d{1,3})\b)?")


class LoginError(Exception):
    """It was not refused, and did not come about; the message says why."""


async def log_in(
    plain: Channel, protocol: Protocol, tls: TlsMode, trust: "Trust", account: Account
) -> Union[Login, Missing]:
    """What comes of it on a fresh connection.

    Raises:
        ChannelError: it broke off; UntrustedError: the certificate is none to trust.
    """
    dialogue = DIALOGUES[protocol]
    if tls == "starttls":
        await _upgrade(dialogue, plain)
    channel = await trust.shake_hands(plain)
    if tls == "implicit":
        await dialogue.greeting(channel)
    # What was offered before TLS may have been somebody else's word.
    offered = await dialogue.capabilities(channel)
    try:
        steps = await _EXCHANGES[protocol](channel, offered, account).steps()
    except LoginError as error:
        return Missing(str(error))
    await dialogue.goodbye(channel)
    return Login(trust.server_name, trust.by, steps)


async def _upgrade(dialogue: Dialogue, plain: Channel) -> None:
    greeting = await dialogue.greeting(plain)
    offered = dialogue.capabilities_in(greeting) or await dialogue.capabilities(plain)
    upgrade = await dialogue.starttls(plain, offered)
    if upgrade.state != "ready" or plain.pending():
        raise ChannelError(f"STARTTLS {upgrade.state}: {upgrade.detail}")


class Trust(NamedTuple):
    """By what the other end must prove itself before it hears of the account."""

    server_name: str
    by: Trusted
    account: Account

    async def shake_hands(self, plain: Channel) -> TlsChannel:
        """Raises UntrustedError where it does not prove itself."""
        context = self._chain() if self.by == "chain" else _nothing()
        try:
            channel = TlsChannel(plain, context, self.server_name)
        except ValueError:
            raise ChannelError(f"{self.server_name!a} is no name to ask for") from None
        await channel.handshake()
        if self.by == "fingerprint":
            leaf = channel.tls.getpeercert(binary_form=True) or b""
            if hashlib.sha256(leaf).hexdigest() not in self.account.certificates:
                raise UntrustedError("and it is none of the certificates that are excepted")
        return channel

    def _chain(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.account.trust_store is not None:
            try:
                context.load_verify_locations(cadata=self.account.trust_store)
            except ssl.SSLError:
                raise ChannelError("the trust store is no list of PEM certificates") from None
        return context


def _nothing() -> ssl.SSLContext:
    """Neither chain nor name is asked for: the certificate itself is held against a list."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Exchange(ABC):
    """The login of one protocol, and the command that shows that it is one."""

    def __init__(self, channel: Channel, offered: Capabilities, account: Account) -> None:
        self.channel = channel
        self.offered = offered
        self.user = account.user.encode("utf-8", "surrogateescape")
        self.password = account.password.encode("utf-8", "surrogateescape")

    async def steps(self) -> tuple[LoginStep, ...]:
        """Both of them; the first alone where it is refused.

        Raises:
            LoginError: neither accepted nor refused.
        """
        if b"\0" in self.user + self.password:
            raise LoginError("the account has a NUL in it, which no mechanism can send")
        login = await self.login()
        return (login, await self.after()) if login.accepted else (login,)

    @abstractmethod
    async def login(self) -> LoginStep:
        """By the first mechanism that both ends have."""

    @abstractmethod
    async def after(self) -> LoginStep:
        """What a client would do next, and changes nothing."""

    def plain(self) -> bytes:
        """RFC 4616."""
        return base64.b64encode(b"\0" + self.user + b"\0" + self.password)

    def no_mechanism(self) -> LoginError:
        mechanisms = " ".join(self.offered.mechanisms) or "none"
        return LoginError(f"no mechanism in common; the server has: {mechanisms}")


class _Imap(_Exchange):
    """RFC 9051 §6.2."""

    async def login(self) -> LoginStep:
        if "PLAIN" in self.offered.mechanisms:
            if self.offered.says("SASL-IR"):
                await self._send(b"b1 AUTHENTICATE PLAIN " + self.plain())
            else:
                await self._send(b"b1 AUTHENTICATE PLAIN", self.plain())
            return await self._end("b1", "AUTHENTICATE PLAIN")
        if self.offered.says("LOGINDISABLED"):
            raise self.no_mechanism()
        # As literals, no character of either means anything.
        await self._send(
            b"b1 LOGIN {%d}" % len(self.user),
            self.user + b" {%d}" % len(self.password),
            self.password,
        )
        return await self._end("b1", "LOGIN")

    async def after(self) -> LoginStep:
        await self._send(b"b2 SELECT INBOX")
        return await self._end("b2", "SELECT INBOX")

    async def _send(self, *parts: bytes) -> None:
        """Each after the first when the server is ready for it."""
        for number, part in enumerate(parts):
            if number:
                line = text(await self.channel.line())
                if not line.startswith("+"):
                    raise LoginError(f"the server did not let the login go on: {_imap(line)[1]}")
            await self.channel.send(part + b"\r\n")

    async def _end(self, tag: str, command: str) -> LoginStep:
        for _ in range(_MAX_LINES):
            line = text(await self.channel.line())
            if line.startswith(f"{tag} "):
                accepted, answer, for_now = _imap(line)
                if for_now:
                    raise LoginError(f"not now: {command} answered {answer}")
                return LoginStep(command, accepted, answer)
            if line.upper().startswith("* BYE"):
                raise LoginError(f"{command} answered BYE")
        raise LoginError(f"no end of the answer to {command}")


def _imap(line: str) -> tuple[bool, str, bool]:
    """Whether it is a yes, its codes, and whether it is a no for now alone."""
    found = _IMAP_ANSWER.match(line)
    if found is None:
        return False, "what is no answer", False
    word, code = found.group(1).upper(), (found.group(2) or "").upper()
    answer = f"{word} [{code}]" if code in _IMAP_CODES else word
    return word == "OK", answer, word != "OK" and code in _IMAP_FOR_NOW


class _Smtp(_Exchange):
    """RFC 4954."""

    async def login(self) -> LoginStep:
        if "PLAIN" in self.offered.mechanisms:
            return await self._ask("AUTH PLAIN", b"AUTH PLAIN " + self.plain())
        if "LOGIN" not in self.offered.mechanisms:
            raise self.no_mechanism()
        words = (b"AUTH LOGIN", base64.b64encode(self.user), base64.b64encode(self.password))
        step = await self._ask("AUTH LOGIN", words[0])
        for word in words[1:]:
            if step.answer[:3] != "334":
                break
            step = await self._ask("AUTH LOGIN", word)
        return step

    async def after(self) -> LoginStep:
        return await self._ask("NOOP", b"NOOP")

    async def _ask(self, command: str, line: bytes) -> LoginStep:
        await self.channel.send(line + b"\r\n")
        for _ in range(_MAX_LINES):
            reply = text(await self.channel.line())
            if reply[3:4] != "-":
                break
        found = _SMTP_ANSWER.match(reply)
        answer = " ".join(filter(None, found.groups())) if found else "what is no answer"
        if answer.startswith("4"):
            raise LoginError(f"not now: {command} answered {answer}")
        return LoginStep(command, answer.startswith("2"), answer)


_EXCHANGES: dict[Protocol, type[_Exchange]] = {"imap": _Imap, "smtp": _Smtp}
LOGIN_PROTOCOLS = frozenset(_EXCHANGES)
