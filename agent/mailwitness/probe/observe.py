"""Everything about one port: reach it, hear what it says, and ask for each version of TLS."""

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Awaitable, Sequence
from typing import TypeVar, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.probe import (
    Capabilities,
    Observation,
    Protocol,
    Reach,
    Session,
    Starttls,
)
from mailwitness.evidence.services import SERVICES
from mailwitness.probe.answer import accepted_among
from mailwitness.probe.chains import chains_by_name
from mailwitness.probe.channel import (
    Channel,
    ChannelError,
    ClosedError,
    NotReachedError,
    SilentError,
)
from mailwitness.probe.conversations import Conversations, Endpoint, Places
from mailwitness.probe.dialogues import text
from mailwitness.probe.handshake import chain_of, served_chain, shake_hands
from mailwitness.probe.limits import DEFAULT_LIMITS, Limits
from mailwitness.probe.questions import Questions
from mailwitness.probe.versions import ask_versions, chosen, note_keys

_USUAL = {port: (service.protocol, service.tls) for port, service in SERVICES.items()}
_RECOGNISED: dict[bytes, Protocol] = {b"* ": "imap", b"+OK": "pop3", b"220": "smtp"}
_SILENCE = 3.0  # after which a server on an unknown port is taken to wait for a hello

_VERSIONS_ALONE = Missing("not asked for: a look at versions alone")
_ASKED_BRIEFLY = Missing("not asked for: a brief look")
_NO_TLS = Missing("no TLS")

_T = TypeVar("_T")


def observe(
    endpoints: Sequence[Endpoint], limits: Limits = DEFAULT_LIMITS
) -> tuple[Observation, ...]:
    """What these ports of one host answer, all at once."""

    async def together() -> list[Observation]:
        talks = Conversations(limits, Places(limits.connections), {})
        return await asyncio.gather(*(observe_endpoint(talks, one) for one in endpoints))

    return tuple(asyncio.run(together()))


async def observe_endpoint(talks: Conversations, endpoint: Endpoint) -> Observation:
    """One port, within its time limit; whatever goes wrong is part of the observation."""
    protocol, tls = _USUAL.get(endpoint.port, ("smtp", "starttls"))
    questions = Questions(talks, endpoint, protocol, tls)
    began, reach = now(), None
    session: Union[Session, Missing]
    try:
        session = await _session(questions)
    except NotReachedError as error:
        session = Missing(f"no connection: {error}")
        reach = error.reach
    except ChannelError as error:
        session = Missing(str(error))
    except Exception as error:  # noqa: BLE001 - a bug here must not cost the other endpoints
        session = Missing(f"the probe broke: {type(error).__name__}: {error}")
    return Observation(
        address=endpoint.address,
        port=endpoint.port,
        protocol=questions.protocol,
        tls=questions.tls,
        observed_at=began,
        reach=reach or questions.reach,
        session=session,
        turned_away=talks.pace(endpoint).turned_away,
        login=None,
    )


async def _session(questions: Questions) -> Session:
    """First one whole conversation, then the questions that need a connection each."""
    if questions.endpoint.port not in _USUAL:
        await _recognise(questions)
    if questions.endpoint.depth == "versions":
        return await _versions_alone(questions)
    try:
        first = await questions.patiently(functools.partial(_converse, questions))
    except SilentError:
        await _unless_it_speaks_tls(questions)
        raise
    if first.starttls is not None and first.starttls.state != "ready":
        return first
    leaves = [chain.leaf for chain in first.chains if isinstance(chain.leaf, str)]
    note_keys(questions, map(ssl.PEM_cert_to_DER_cert, leaves))
    questions.works = bool(first.chains)
    versions, answers = await ask_versions(questions)
    if not first.chains and not chosen(answers):
        first = await _unless_clear_text(questions, first)
    chains = await chains_by_name(questions, answers, first.chains[0] if first.chains else None)
    brief = first._replace(versions=versions, chains=chains)
    if questions.endpoint.depth == "brief":
        return brief
    # Most looks of an audit are brief, and short: to import the rest would be a good part of them.
    from mailwitness.probe.full import in_full  # noqa: PLC0415

    return await in_full(questions, brief, answers)


async def _versions_alone(questions: Questions) -> Session:
    """Nothing but the hellos, and what was said on the way to them."""
    versions, answers = await ask_versions(questions)
    opening, newest = questions.opening, answers["TLSv1.2"]
    if questions.tls == "starttls" and opening is None:
        await _unless_it_speaks_tls(questions)
    silent = questions.reach.state != "open" or (questions.tls == "starttls" and opening is None)
    if silent and isinstance(newest, Exception):
        raise newest
    with_chain = [answer for answer in accepted_among(answers).values() if answer.certificates]
    session = Session(
        greeting=opening.greeting if opening else _VERSIONS_ALONE,
        before_tls=opening.capabilities if opening else None,
        starttls=opening.starttls if opening else None,
        inside_tls=_VERSIONS_ALONE,
        versions=versions,
        chains=tuple(chain_of(None, answer.certificates) for answer in with_chain[-1:]),
        negotiation=_VERSIONS_ALONE,
        features=_VERSIONS_ALONE,
        injection=_VERSIONS_ALONE if opening else None,
    )
    if opening is not None and opening.starttls.state != "ready":
        return _plain(opening.greeting, opening.capabilities, opening.starttls)
    return session if chosen(answers) else await _unless_clear_text(questions, session)


async def _unless_it_speaks_tls(questions: Questions) -> None:
    """Say so where a server that should speak first waits for a hello.

    Raises:
        ChannelError: so it is.
    """
    if questions.tls == "implicit":
        return
    try:
        async with _open(questions) as (channel, _):
            await shake_hands(channel, None)
    except (ChannelError, NotReachedError):
        return
    raise ChannelError("TLS from the first byte, where clear text is due") from None


async def _unless_clear_text(questions: Questions, first: Session) -> Session:
    """Say so where no handshake comes about since the server greets in clear."""
    if questions.tls == "starttls":
        return first
    try:
        async with _open(questions) as (channel, _):
            greeting = await channel.line(_SILENCE)
            if not greeting.startswith(tuple(_RECOGNISED)):
                return first
            await questions.leave(channel)
    except (ChannelError, NotReachedError):
        return first
    clear = Missing(f"clear text, where TLS is due: {text(greeting)[:200]!a}")
    return first._replace(greeting=clear, inside_tls=clear)


async def _recognise(questions: Questions) -> None:
    """What an unknown port speaks: servers of all three protocols speak first."""
    async with _open(questions) as (plain, reach):
        questions.reach = reach
        channel = plain
        try:
            line = await plain.line(_SILENCE)
            questions.tls = "starttls"
        except ClosedError:
            raise
        except ChannelError:
            questions.tls = "implicit"
            channel = await shake_hands(plain, None)
            line = await channel.line(channel.limits.greeting)
        for beginning, protocol in _RECOGNISED.items():
            if line.startswith(beginning):
                questions.protocol = protocol
                # Where more lines of the greeting follow, to speak now would be a pregreet.
                if line[3:4] != b"-":
                    await questions.leave(channel)
                return
    raise ChannelError(f"neither IMAP, POP3 nor SMTP: {text(line)[:200]!a}")


def _open(questions: Questions) -> "contextlib.AbstractAsyncContextManager[tuple[Channel, Reach]]":
    return questions.talks.open(questions.endpoint, questions.allowance)


async def _converse(questions: Questions, channel: Channel, _: Reach) -> Session:
    """Greeting, capabilities, TLS by the local library, capabilities, goodbye."""
    if questions.tls == "implicit":
        return await _inside(
            questions,
            channel,
            Session(
                greeting=Missing("it comes inside TLS"),
                before_tls=None,
                starttls=None,
                inside_tls=Missing("no handshake"),
                versions=(),
                chains=(),
                negotiation=_ASKED_BRIEFLY,
                features=_ASKED_BRIEFLY,
                injection=None,
            ),
        )
    greeting = await questions.dialogue.greeting(channel)
    before_tls = await _or_missing(questions.capabilities(channel, greeting))
    plain = _plain(greeting, before_tls, Starttls("unknown", "the capabilities are not known"))
    if isinstance(before_tls, Missing):
        await questions.leave(channel)
        return plain
    upgrade = await _upgrade(questions, channel, before_tls)
    plain = plain._replace(starttls=upgrade)
    if upgrade.state != "ready":
        await questions.leave(channel)
        return plain
    return await _inside(questions, channel, plain)


def _plain(greeting: str, before: Union[Capabilities, Missing], starttls: Starttls) -> Session:
    """One that ended before TLS."""
    return Session(
        greeting=greeting,
        before_tls=before,
        starttls=starttls,
        inside_tls=_NO_TLS,
        versions=(),
        chains=(),
        negotiation=_NO_TLS,
        features=_NO_TLS,
        injection=_NO_TLS,
    )


async def _upgrade(questions: Questions, channel: Channel, offered: Capabilities) -> Starttls:
    try:
        upgrade = await questions.dialogue.starttls(channel, offered)
    except ChannelError as error:
        return Starttls("unknown", str(error))
    if upgrade.state == "ready" and channel.pending():
        return Starttls("refused", "data follows the answer to STARTTLS before any TLS")
    return upgrade


async def _inside(questions: Questions, channel: Channel, session: Session) -> Session:
    """The session with what is said inside TLS; without it where no handshake succeeds."""
    try:
        tls = await shake_hands(channel, None)
    except ChannelError as error:
        missing = Missing(str(error))
        implicit = session.before_tls is None
        return session._replace(
            inside_tls=missing, greeting=missing if implicit else session.greeting
        )
    chain = served_chain(tls, None)  # before anything said inside can end the session
    greeting = session.greeting
    if isinstance(greeting, Missing):
        greeting = await _or_missing(questions.dialogue.greeting(tls))
    inside: Union[Capabilities, Missing]
    if isinstance(greeting, Missing):
        inside = greeting
    else:
        inside = await _or_missing(questions.dialogue.capabilities(tls))
        await questions.leave(tls)
    return session._replace(greeting=greeting, inside_tls=inside, chains=(chain,))


async def _or_missing(asked: Awaitable[_T]) -> Union[_T, Missing]:
    try:
        return await asked
    except ChannelError as error:
        return Missing(str(error))
