"""The mail protocols up to the point where TLS begins, and their orderly end."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Optional

from mailwitness.evidence.probe import Capabilities, Protocol, Starttls
from mailwitness.probe.channel import Channel, ChannelError

_MAX_LINES = 200
_MAX_GREETING = 2048
_MAX_SHOWN = 200
# RFC 9051 §7.1: the capabilities may be part of the greeting, which saves the question.
_CAPABILITY = re.compile(r"\* (?:OK|PREAUTH) \[CAPABILITY ([^\]]+)\]", re.IGNORECASE)


class BusyError(ChannelError):
    """The server turns this client away for now, which says nothing of anything else."""


class Dialogue(ABC):
    """What to say in one protocol.

    It never logs in and never sends two commands at once: fail2ban's default filters count
    both as attacks.
    """

    GREETING: ClassVar[tuple[bytes, ...]]  # how a first line that welcomes begins
    BUSY: ClassVar[bytes]  # and how one that does not
    NOOP: ClassVar[bytes] = b"NOOP\r\n"  # changes nothing, and is answered

    async def greeting(self, channel: Channel) -> str:
        """The server's first words, to their end."""
        line = await channel.line(channel.limits.greeting)
        if line.upper().startswith(self.BUSY):
            raise BusyError(f"turned away: {text(line)[:_MAX_SHOWN]!a}")
        if not line.upper().startswith(self.GREETING):
            raise ChannelError(f"no such greeting: {text(line)[:_MAX_SHOWN]!a}")
        return text(line)[:_MAX_GREETING]

    def capabilities_in(self, greeting: str) -> Optional[Capabilities]:  # noqa: ARG002
        """What a greeting says of them already; None where it does not."""
        return None

    @abstractmethod
    async def capabilities(self, channel: Channel) -> Capabilities:
        """What the server says it can do."""

    @abstractmethod
    async def starttls(
        self, channel: Channel, offered: Capabilities, behind: bytes = b""
    ) -> Starttls:
        """Ask for TLS; the state is `ready` where the next byte is to be the hello.

        `behind` is sent in one piece with the request, as somebody on the way could do it.
        """

    @abstractmethod
    async def goodbye(self, channel: Channel) -> None:
        """Take leave; the answer is not waited for."""

    @abstractmethod
    def answers_more(self, lines: Sequence[str]) -> bool:
        """Whether `lines`, all that was said after a goodbye, answer `NOOP` as well."""


class Imap(Dialogue):
    """RFC 9051."""

    GREETING = (b"* OK", b"* PREAUTH")
    BUSY = b"* BYE"
    NOOP = b"a9 NOOP\r\n"

    def capabilities_in(self, greeting: str) -> Optional[Capabilities]:
        said = _CAPABILITY.match(greeting)
        return Capabilities(tuple(said.group(1).split())) if said else None

    async def capabilities(self, channel: Channel) -> Capabilities:
        lines, end = await self._ask(channel, "a1", "CAPABILITY")
        words: list[str] = []
        for line in lines:
            if line.upper().startswith("* CAPABILITY "):
                words += line.split()[2:]
        if not words or not end.upper().startswith("A1 OK"):
            raise ChannelError(f"CAPABILITY answered {end[:_MAX_SHOWN]!a}")
        return Capabilities(tuple(words))

    async def starttls(
        self, channel: Channel, offered: Capabilities, behind: bytes = b""
    ) -> Starttls:
        if not offered.says("STARTTLS"):
            return Starttls("not-offered", "")
        _, end = await self._ask(channel, "a2", "STARTTLS", behind)
        return _upgrade(end, ready=end.upper().startswith("A2 OK"))

    async def goodbye(self, channel: Channel) -> None:
        await channel.send(b"a3 LOGOUT\r\n")

    def answers_more(self, lines: Sequence[str]) -> bool:
        return any(line.startswith("a9 ") for line in lines)

    async def _ask(
        self, channel: Channel, tag: str, command: str, behind: bytes = b""
    ) -> tuple[list[str], str]:
        """The untagged lines of the answer, and the tagged one that ends it."""
        await channel.send(f"{tag} {command}\r\n".encode("ascii") + behind)
        lines: list[str] = []
        while len(lines) < _MAX_LINES:
            line = text(await channel.line())
            if line.startswith(f"{tag} "):
                return lines, line
            if line.upper().startswith("* BYE"):
                raise ChannelError(f"{command} answered {line[:_MAX_SHOWN]!a}")
            lines.append(line)
        raise ChannelError(f"no end of the answer to {command}")


class Pop3(Dialogue):
    """RFC 1939, RFC 2449 (CAPA), RFC 2595 (STLS)."""

    GREETING = (b"+OK",)
    BUSY = b"-ERR"

    async def capabilities(self, channel: Channel) -> Capabilities:
        await channel.send(b"CAPA\r\n")
        first = text(await channel.line())
        if not first.startswith("+OK"):
            raise ChannelError(f"CAPA answered {first[:_MAX_SHOWN]!a}")
        lines: list[str] = []
        while len(lines) < _MAX_LINES:
            line = text(await channel.line())
            if line == ".":
                return Capabilities(tuple(lines))
            lines.append(line)
        raise ChannelError("no end of the answer to CAPA")

    async def starttls(
        self, channel: Channel, offered: Capabilities, behind: bytes = b""
    ) -> Starttls:
        if not offered.says("STLS"):
            return Starttls("not-offered", "")
        await channel.send(b"STLS\r\n" + behind)
        line = text(await channel.line())
        return _upgrade(line, ready=line.startswith("+OK"))

    async def goodbye(self, channel: Channel) -> None:
        await channel.send(b"QUIT\r\n")

    def answers_more(self, lines: Sequence[str]) -> bool:
        return sum(line.startswith(("+OK", "-ERR")) for line in lines) > 1


class Smtp(Dialogue):
    """RFC 5321, RFC 3207 (STARTTLS)."""

    GREETING = (b"220",)
    BUSY = b"421"  # RFC 5321 §3.8

    async def greeting(self, channel: Channel) -> str:
        lines = await _reply(channel, channel.limits.greeting)
        _see_not_busy(lines)
        if not lines[0].startswith("220"):
            raise ChannelError(f"no such greeting: {lines[0][:_MAX_SHOWN]!a}")
        return "\n".join(lines)[:_MAX_GREETING]

    async def capabilities(self, channel: Channel) -> Capabilities:
        await channel.send(b"EHLO " + _literal(channel.own_address) + b"\r\n")
        lines = await _reply(channel, channel.limits.read)
        _see_not_busy(lines)
        if not lines[0].startswith("250"):
            raise ChannelError(f"EHLO answered {lines[0][:_MAX_SHOWN]!a}")
        return Capabilities(tuple(line[4:] for line in lines[1:]))

    async def starttls(
        self, channel: Channel, offered: Capabilities, behind: bytes = b""
    ) -> Starttls:
        if not offered.says("STARTTLS"):
            return Starttls("not-offered", "")
        await channel.send(b"STARTTLS\r\n" + behind)
        lines = await _reply(channel, channel.limits.read)
        _see_not_busy(lines)
        return _upgrade(lines[-1], ready=lines[0].startswith("220"))

    async def goodbye(self, channel: Channel) -> None:
        await channel.send(b"QUIT\r\n")

    def answers_more(self, lines: Sequence[str]) -> bool:
        return sum(line[3:4] != "-" for line in lines) > 1


DIALOGUES: dict[Protocol, Dialogue] = {"imap": Imap(), "pop3": Pop3(), "smtp": Smtp()}


def text(line: bytes) -> str:
    """A line as text; bytes that are no UTF-8 as backslash escapes."""
    return line.decode("utf-8", "backslashreplace")


def _see_not_busy(reply: list[str]) -> None:
    if reply[0].encode().startswith(Smtp.BUSY):
        raise BusyError(f"turned away: {reply[0][:_MAX_SHOWN]!a}")


def _upgrade(answer: str, *, ready: bool) -> Starttls:
    return Starttls("ready" if ready else "refused", answer[:_MAX_SHOWN])


async def _reply(channel: Channel, timeout: float) -> list[str]:
    """A reply of one line or more (RFC 5321 §4.2.1: a hyphen after the code, more follow)."""
    lines: list[str] = []
    while len(lines) < _MAX_LINES:
        line = text(await channel.line(timeout))
        lines.append(line)
        if line[3:4] != "-":
            return lines
    raise ChannelError("a reply without end")


def _literal(address: str) -> bytes:
    """This end as EHLO may name it without a look-up (RFC 5321 §4.1.3)."""
    return f"[{'IPv6:' if ':' in address else ''}{address}]".encode("ascii")
