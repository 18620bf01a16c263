"""Whether a command sent in clear behind STARTTLS takes effect inside TLS.

Somebody on the way could put commands of their own there (CVE-2011-0411 and its kin). What is
sent here is a NOOP, and what tells is whether a goodbye inside TLS brings an answer to it as well.
"""

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Capabilities, Injection
from mailwitness.probe.channel import Channel, ChannelError, ClosedError, SilentError
from mailwitness.probe.dialogues import Dialogue, text
from mailwitness.probe.handshake import shake_hands

_MAX_LINES = 20
_MAX_SHOWN = 200


async def inject(dialogue: Dialogue, channel: Channel, offered: Capabilities) -> Injection:
    """What comes of it, on a fresh connection to a server whose handshake is known to work.

    Raises:
        ChannelError: the conversation broke off elsewhere.
    """
    try:
        upgrade = await dialogue.starttls(channel, offered, dialogue.NOOP)
    except ClosedError as error:
        return Injection(accepted=False, proof=f"in answer to it: {error}")
    if upgrade.state != "ready":
        return Injection(accepted=False, proof=f"STARTTLS is refused then: {upgrade.detail}")
    try:
        tls = await shake_hands(channel, None)
    except SilentError:
        raise
    except ChannelError as error:
        return Injection(accepted=False, proof=f"no handshake comes about then: {error}")
    await dialogue.goodbye(tls)
    lines: list[str] = []
    trouble = ""
    while len(lines) < _MAX_LINES:
        try:
            lines.append(text(await tls.line()))
        except ChannelError as error:
            trouble = str(error)
            break
    proof = " | ".join(lines)[:_MAX_SHOWN]
    if not lines:
        return Injection(Missing(f"nothing was answered inside TLS: {trouble}"), "")
    return Injection(accepted=dialogue.answers_more(lines), proof=proof)
