"""Everything about one port: reach it, hear what it says, and ask for each version of TLS."""

import asyncio
import contextlib
import dataclasses
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Callable, Literal, Optional, TypeVar, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.moment import now
from mailwitness.evidence.names import is_address
from mailwitness.evidence.probe import (
    Capabilities,
    Injection,
    Observation,
    Protocol,
    Reach,
    ServedChain,
    Session,
    Starttls,
    TlsMode,
    VersionAnswer,
    VersionName,
)
from mailwitness.evidence.services import SERVICES
from mailwitness.probe.allowance import Allowance
from mailwitness.probe.answer import NUMBERS, Alert, ServerHello
from mailwitness.probe.channel import (
    Channel,
    ChannelError,
    ClosedError,
    NotReachedError,
    SilentError,
    dial,
)
from mailwitness.probe.dialogues import DIALOGUES, BusyError, Dialogue, text
from mailwitness.probe.enumeration import Answer, accepted_among, negotiation
from mailwitness.probe.features import features
from mailwitness.probe.handshake import chain_of, served_chain, shake_hands
from mailwitness.probe.hello import Offer, everything, say_hello, with_suites, without_suites
from mailwitness.probe.injection import inject
from mailwitness.probe.limits import DEFAULT_LIMITS, Limits
from mailwitness.probe.pace import Pace
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2

_USUAL = {port: (service.protocol, service.tls) for port, service in SERVICES.items()}
_RECOGNISED: dict[bytes, Protocol] = {b"* ": "imap", b"+OK": "pop3", b"220": "smtp"}
_SILENCE = 3.0  # after which a server on an unknown port is taken to wait for a hello

_ASKED_BRIEFLY = Missing("not asked for: a brief look")
_NO_TLS = Missing("no TLS")
_BY_KEY = (
    ("TLS_ECDHE_ECDSA_", "TLS_ECDH_ECDSA_"),
    ("TLS_ECDHE_RSA_", "TLS_DHE_RSA_", "TLS_RSA_"),
)
_TRIES = 8  # of one question to a server that turns its client away now and then

# `brief`: versions and chains, some seven connections; `full`: all that can be negotiated, too,
# some thirty of a server of today and over a hundred of one that takes every old suite.
Depth = Literal["brief", "full"]

_FINITE_FIELD = ("TLS_DHE_", "TLS_DH_anon_")
_ECDSA = ("TLS_ECDHE_ECDSA_",)
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # its object identifier, RFC 5480 §2.1.1

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A port of an address, and the names to ask for there."""

    address: str
    port: int
    names: tuple[str, ...]
    depth: Depth = "full"


class Conversations:
    """Opens connections to one host, a few at a time.

    `paces` are those of all ports by address, shared among hosts: two names may be one server.
    """

    def __init__(
        self,
        limits: Limits,
        everywhere: asyncio.Semaphore,
        paces: dict[tuple[str, int], Pace],
        source_addresses: Sequence[str] = (),
    ) -> None:
        self.limits = limits
        self._paces = paces
        self._everywhere = everywhere
        self._here = asyncio.Semaphore(limits.connections_per_host)
        self._source_addresses = source_addresses

    def pace(self, endpoint: Endpoint) -> Pace:
        """The turns at this port."""
        place = (endpoint.address, endpoint.port)
        return self._paces.setdefault(place, Pace(self.limits))

    @contextlib.asynccontextmanager
    async def open(
        self, endpoint: Endpoint, allowance: Allowance
    ) -> "AsyncIterator[tuple[Channel, Reach]]":
        """A connection and how it was reached; it is closed in the end.

        Raises:
            TurnedAwayError: none is tried any more, so often was the probe turned away.
        """
        pace = self.pace(endpoint)
        async with pace.turn(), self._here, self._everywhere:
            if pace.gave_up:
                raise TurnedAwayError(f"turned away {pace.turned_away} times, and left alone")
            begun = time.monotonic()
            with allowance.running() as until:
                if until <= begun:
                    raise SilentError(f"no end within {self.limits.endpoint:g} s")
                source = self._source_of(endpoint.address)
                channel, reach = await dial(
                    endpoint.address, endpoint.port, self.limits, until, source
                )
                try:
                    yield channel, reach
                    pace.taken()
                except BusyError:
                    pace.refused(begun)
                    raise
                finally:
                    await channel.close()

    def _source_of(self, address: str) -> Optional[str]:
        """Where to connect to this address from; None: wherever the system likes."""
        if not self._source_addresses:
            return None
        for source in self._source_addresses:
            if (":" in source) == (":" in address):
                return source
        family = "IPv6" if ":" in address else "IPv4"
        untried = f"not tried: no {family} address to connect from is given"
        raise NotReachedError(Reach("error", untried, 0.0, Missing(untried)))


def observe(
    endpoints: Sequence[Endpoint], limits: Limits = DEFAULT_LIMITS
) -> tuple[Observation, ...]:
    """What these ports of one host answer, all at once."""

    async def together() -> list[Observation]:
        talks = Conversations(limits, asyncio.Semaphore(limits.connections), {})
        return await asyncio.gather(*(observe_endpoint(talks, one) for one in endpoints))

    return tuple(asyncio.run(together()))


async def observe_endpoint(talks: Conversations, endpoint: Endpoint) -> Observation:
    """One port, within its time limit; whatever goes wrong is part of the observation."""
    protocol, tls = _USUAL.get(endpoint.port, ("smtp", "starttls"))
    looking = _Look(talks, endpoint, protocol, tls)
    session: Union[Session, Missing]
    try:
        session = await looking.session()
    except NotReachedError as error:
        session = Missing(f"no connection: {error}")
        looking.reach = error.reach
    except ChannelError as error:
        session = Missing(str(error))
    except Exception as error:  # noqa: BLE001 - a bug here must not cost the other endpoints
        session = Missing(f"the probe broke: {type(error).__name__}: {error}")
    return Observation(
        address=endpoint.address,
        port=endpoint.port,
        protocol=looking.protocol,
        tls=looking.tls,
        observed_at=looking.began,
        reach=looking.reach,
        session=session,
        turned_away=talks.pace(endpoint).turned_away,
        login=None,
    )


def _with_ecdsa(session: Session) -> bool:
    """Whether the server showed a certificate with such a key."""
    leaves = [chain.leaf for chain in session.chains if isinstance(chain.leaf, str)]
    return any(_EC_PUBLIC_KEY in ssl.PEM_cert_to_DER_cert(leaf) for leaf in leaves)


class _Look:
    """The steps of one observation, and what is known of the endpoint so far."""

    def __init__(
        self, talks: Conversations, endpoint: Endpoint, protocol: Protocol, tls: TlsMode
    ) -> None:
        self.talks = talks
        self.endpoint = endpoint
        self.protocol = protocol
        self.tls = tls
        self.allowance = Allowance(talks.limits.endpoint)
        self.began = now()
        untried = "no connection was tried"
        self.reach = Reach("error", untried, 0.0, Missing(untried))
        self.shakes_hands = False  # by the local library, that is: see `_still_works`
        self.proving = asyncio.Lock()
        self.proved_at = 0.0
        # What a server may choose and then have no use for: see `_ask`.
        self.spoiling: tuple[tuple[str, ...], ...] = (_FINITE_FIELD,)

    @property
    def dialogue(self) -> Dialogue:
        return DIALOGUES[self.protocol]

    def _open(self) -> "contextlib.AbstractAsyncContextManager[tuple[Channel, Reach]]":
        return self.talks.open(self.endpoint, self.allowance)

    async def session(self) -> Session:
        """First one whole conversation, then the questions that need a connection each."""
        if self.endpoint.port not in _USUAL:
            await self._recognise()
        try:
            first = await self._patiently(self._converse)
        except SilentError:
            if self.tls == "starttls" and await self._speaks_tls():
                raise ChannelError("TLS from the first byte, where clear text is due") from None
            raise
        if first.starttls is not None and first.starttls.state != "ready":
            return first
        self.shakes_hands = bool(first.chains)
        if _with_ecdsa(first):
            self.spoiling = (_FINITE_FIELD, _ECDSA, (*_FINITE_FIELD, *_ECDSA))
        oldest, others = await asyncio.gather(
            self._alone(say_hello_of_sslv2),
            asyncio.gather(*(self._ask(everything(version)) for version in NUMBERS)),
        )
        answers: dict[VersionName, Answer] = dict(zip(NUMBERS, others))
        works = bool(first.chains) or any(isinstance(a, ServerHello) for a in answers.values())
        if self.tls == "implicit" and not works:
            first = await self._with_clear_text(first)
        versions = (
            _judge("SSLv2", oldest, works=works),
            *(_judge(version, answer, works=works) for version, answer in answers.items()),
        )
        chains = await self._chains(answers, first.chains[0] if first.chains else None)
        brief = dataclasses.replace(first, versions=versions, chains=chains)
        return brief if self.endpoint.depth == "brief" else await self._in_full(brief, answers)

    async def _in_full(self, brief: Session, answers: Mapping[VersionName, Answer]) -> Session:
        # So many questions have a time of their own: they shall not cost the answers before.
        self.allowance = Allowance(self.talks.limits.enumeration)
        negotiated, its_features, injected, chains = await asyncio.gather(
            negotiation(self._ask, answers),
            features(self._ask, answers),
            self._injection(brief),
            self._chains_by_key(brief, answers),
        )
        return dataclasses.replace(
            brief,
            chains=(*brief.chains, *chains),
            negotiation=negotiated,
            features=its_features,
            injection=injected,
        )

    async def _injection(self, brief: Session) -> Union[Injection, Missing, None]:
        """A NOOP in one piece with STARTTLS: RFC 3207 §6 has it thrown away."""
        if brief.starttls is None:
            return None
        if isinstance(brief.inside_tls, Missing):  # then a failure now would prove nothing
            return brief.inside_tls

        async def talk(channel: Channel, _: Reach) -> Injection:
            greeting = await self.dialogue.greeting(channel)
            offered = await self._capabilities(channel, greeting)
            return await inject(self.dialogue, channel, offered)

        try:
            return await self._patiently(talk)
        except (ChannelError, NotReachedError) as error:
            return Missing(str(error))

    async def _chains_by_key(
        self, brief: Session, answers: Mapping[VersionName, Answer]
    ) -> tuple[ServedChain, ...]:
        """What is served beside the chains known already, to clients of one type of key alone."""
        older = [version for version in accepted_among(answers) if version != "TLSv1.3"]
        if not older:
            return ()
        names = dict.fromkeys(
            None
            if chain.server_name is None or is_address(chain.server_name)
            else chain.server_name
            for chain in brief.chains
        )
        found = await asyncio.gather(
            *(
                self._ask(with_suites(everything(older[-1], name), *suites))
                for name in names
                for suites in _BY_KEY
            )
        )
        asked = [name for name in names for _ in _BY_KEY]
        chains = [
            chain_of(name, answer.certificates)
            for name, answer in zip(asked, found)
            if isinstance(answer, ServerHello) and answer.certificates
        ]
        return tuple(chain for chain in dict.fromkeys(chains) if chain not in brief.chains)

    async def _speaks_tls(self) -> bool:
        """Whether a server that says nothing waits for a hello."""
        try:
            async with self._open() as (channel, _):
                await shake_hands(channel, None)
        except (ChannelError, NotReachedError):
            return False
        return True

    async def _with_clear_text(self, first: Session) -> Session:
        """Say so where no handshake comes about since the server greets in clear."""
        try:
            async with self._open() as (channel, _):
                greeting = await channel.line(_SILENCE)
                if not greeting.startswith(tuple(_RECOGNISED)):
                    return first
                await self._leave(channel)
        except (ChannelError, NotReachedError):
            return first
        clear = Missing(f"clear text, where TLS is due: {text(greeting)[:200]!a}")
        return dataclasses.replace(first, greeting=clear, inside_tls=clear)

    async def _recognise(self) -> None:
        """What an unknown port speaks: servers of all three protocols speak first."""
        async with self._open() as (plain, self.reach):
            channel = plain
            try:
                line = await plain.line(_SILENCE)
                self.tls = "starttls"
            except ClosedError:
                raise
            except ChannelError:
                self.tls = "implicit"
                channel = await shake_hands(plain, None)
                line = await channel.line(channel.limits.greeting)
            for beginning, protocol in _RECOGNISED.items():
                if line.startswith(beginning):
                    self.protocol = protocol
                    # Where more lines of the greeting follow, to speak now would be a pregreet.
                    if line[3:4] != b"-":
                        await self._leave(channel)
                    return
        raise ChannelError(f"neither IMAP, POP3 nor SMTP: {text(line)[:200]!a}")

    async def _leave(self, channel: Channel) -> None:
        with contextlib.suppress(ChannelError):
            await self.dialogue.goodbye(channel)

    async def _converse(self, channel: Channel, reach: Reach) -> Session:
        """Greeting, capabilities, TLS by the local library, capabilities, goodbye."""
        self.reach = reach
        if self.tls == "implicit":
            return await self._inside(
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
        greeting = await self.dialogue.greeting(channel)
        before_tls = await _or_missing(self._capabilities(channel, greeting))
        plain = Session(
            greeting=greeting,
            before_tls=before_tls,
            starttls=Starttls("unknown", "the capabilities are not known"),
            inside_tls=Missing("no TLS"),
            versions=(),
            chains=(),
            negotiation=_NO_TLS,
            features=_NO_TLS,
            injection=_NO_TLS,
        )
        if isinstance(before_tls, Missing):
            await self._leave(channel)
            return plain
        upgrade = await self._upgrade(channel, before_tls)
        plain = dataclasses.replace(plain, starttls=upgrade)
        if upgrade.state != "ready":
            await self._leave(channel)
            return plain
        return await self._inside(channel, plain)

    async def _capabilities(self, channel: Channel, greeting: str) -> Capabilities:
        return self.dialogue.capabilities_in(greeting) or await self.dialogue.capabilities(channel)

    async def _upgrade(self, channel: Channel, offered: Capabilities) -> Starttls:
        try:
            upgrade = await self.dialogue.starttls(channel, offered)
        except ChannelError as error:
            return Starttls("unknown", str(error))
        if upgrade.state == "ready" and channel.pending():
            return Starttls("refused", "data follows the answer to STARTTLS before any TLS")
        return upgrade

    async def _inside(self, channel: Channel, session: Session) -> Session:
        """The session with what is said inside TLS; without it where no handshake succeeds."""
        try:
            tls = await shake_hands(channel, None)
        except ChannelError as error:
            missing = Missing(str(error))
            implicit = session.before_tls is None
            return dataclasses.replace(
                session, inside_tls=missing, greeting=missing if implicit else session.greeting
            )
        chain = served_chain(tls, None)  # before anything said inside can end the session
        greeting = session.greeting
        if isinstance(greeting, Missing):
            greeting = await _or_missing(self.dialogue.greeting(tls))
        inside: Union[Capabilities, Missing]
        if isinstance(greeting, Missing):
            inside = greeting
        else:
            inside = await _or_missing(self.dialogue.capabilities(tls))
            await self._leave(tls)
        return dataclasses.replace(session, greeting=greeting, inside_tls=inside, chains=(chain,))

    async def _ask(self, offer: Offer) -> Answer:
        """One hello; where the connection closes, again without what may have spoilt it.

        A server may choose a suite for which it then lacks something, and end: that refuses
        nothing else of the offer. Dovecot up to 2.3 without ssl_dh has no parameters for
        finite-field Diffie-Hellman; OpenSSL 1.1.1 at level 2 does not sign with an ECDSA key up
        to TLS 1.1.
        """
        answer = await self._alone(lambda channel: say_hello(channel, offer))
        for spoiling in self.spoiling:
            fewer = without_suites(offer, *spoiling)
            if not _failed_later(answer) or fewer.suites in ((), offer.suites):
                break
            answer = await self._alone(functools.partial(say_hello, offer=fewer))
        return answer

    async def _alone(
        self, say: Callable[[Channel], Awaitable[_T]]
    ) -> Union[_T, ChannelError, NotReachedError]:
        """One hello on a connection of its own."""

        async def talk(channel: Channel, _: Reach) -> _T:
            await self._to_tls(channel)
            return await say(channel)

        answer = await self._answer(talk)
        if self.tls == "starttls" or not self.shakes_hands:
            return answer
        pace = self.talks.pace(self.endpoint)
        for _ in range(_TRIES):
            if not isinstance(answer, ClosedError):
                return answer
            if pace.gave_up:
                break
            # A refusal, or too many connections: with implicit TLS both are just closed.
            begun = time.monotonic()
            with pace.one_at_a_time():
                await asyncio.sleep(self.talks.limits.lingering)
                answer = await self._answer(talk)
                if isinstance(answer, ClosedError) and await self._still_works():
                    return answer
            pace.refused(begun)
        return TurnedAwayError("turned away: closed before any answer, as every hello was then")

    async def _answer(
        self, talk: Callable[[Channel, Reach], Awaitable[_T]]
    ) -> Union[_T, ChannelError, NotReachedError]:
        try:
            return await self._patiently(talk)
        except (ChannelError, NotReachedError) as error:
            return error

    async def _patiently(self, talk: Callable[[Channel, Reach], Awaitable[_T]]) -> _T:
        """`talk` on a connection of its own; again, as slowly as the server wants it.

        Raises:
            TurnedAwayError, BusyError: it was turned away each time.
        """
        for _ in range(_TRIES):
            begun = time.monotonic()
            try:
                async with self._open() as (channel, reach):
                    return await talk(channel, reach)
            except BusyError as error:
                turned_away: Exception = error
            except NotReachedError as error:
                # A server that is there may shut its door for a while.
                if self.reach.state != "open" or error.reach.state not in ("refused", "reset"):
                    raise
                self.talks.pace(self.endpoint).refused(begun)
                turned_away = error
            if self.talks.pace(self.endpoint).gave_up:
                break
        raise turned_away

    async def _still_works(self) -> bool:
        """Whether a handshake known to work does so now.

        Hellos that were closed together share one.
        """
        closed = time.monotonic()
        async with self.proving:
            if self.proved_at < closed:
                begun = time.monotonic()
                if not await self._speaks_tls():
                    return False
                self.proved_at = begun
            return True

    async def _to_tls(self, channel: Channel) -> None:
        """To where the hello is due, by the same words as at first."""
        if self.tls == "implicit":
            return
        try:
            greeting = await self.dialogue.greeting(channel)
            offered = await self._capabilities(channel, greeting)
            upgrade = await self.dialogue.starttls(channel, offered)
        except BusyError as error:
            raise TurnedAwayError(str(error)) from None
        except ClosedError as error:
            raise TurnedAwayError(f"turned away: {error}") from None
        except ChannelError as error:
            raise BeforeHelloError(str(error)) from None
        if upgrade.state != "ready":
            await self._leave(channel)
            raise BeforeHelloError(f"STARTTLS {upgrade.state}: {upgrade.detail}")

    async def _chains(
        self, answers: Mapping[VersionName, Answer], first: Optional[ServedChain]
    ) -> tuple[ServedChain, ...]:
        """The chain without a server name, and for each name the one that it brings.

        `first` is that of the handshake by the local library, which chose the version.
        """
        accepted = {
            version: answer
            for version, answer in answers.items()
            if isinstance(answer, ServerHello) and answer.version == NUMBERS[version]
        }
        if not accepted and first is None:
            return ()
        in_clear = [version for version in accepted if version != "TLSv1.3"]
        version = in_clear[-1] if in_clear else None
        names = tuple(dict.fromkeys(self.endpoint.names))
        # A client that was told an address names no server and so gets the chain for none.
        asked = [name for name in names if not is_address(name)]
        default, *named = await asyncio.gather(
            self._unnamed(version, accepted, first), *(self._chain(version, n) for n in asked)
        )
        by_name = dict(zip(asked, named))
        return (
            default,
            *(by_name.get(name, dataclasses.replace(default, server_name=name)) for name in names),
        )

    async def _unnamed(
        self,
        version: Optional[VersionName],
        accepted: Mapping[VersionName, ServerHello],
        first: Optional[ServedChain],
    ) -> ServedChain:
        """From what was answered already, as far as a chain came with it."""
        if version is None:
            return first or await self._chain(None, None)
        if accepted[version].certificates:
            return chain_of(None, accepted[version].certificates)
        chain = await self._chain(version, None)
        return first if isinstance(chain.leaf, Missing) and first is not None else chain

    async def _chain(
        self, version: Optional[VersionName], server_name: Optional[str]
    ) -> ServedChain:
        """In clear by `version`; by a real handshake where only TLS 1.3 is left."""
        if version is None:
            return await self._chain_of_handshake(server_name)
        answer = await self._ask(everything(version, server_name, anonymous=False))
        if isinstance(answer, ServerHello) and answer.certificates:
            return chain_of(server_name, answer.certificates)
        said = answer.proof if isinstance(answer, (ServerHello, Alert)) else str(answer)
        nothing = Missing(f"no certificate came: {said}")
        return ServedChain(server_name, nothing, nothing)

    async def _chain_of_handshake(self, server_name: Optional[str]) -> ServedChain:
        async def talk(channel: Channel, _: Reach) -> ServedChain:
            await self._to_tls(channel)
            tls = await shake_hands(channel, server_name)
            chain = served_chain(tls, server_name)
            await self._leave(tls)
            return chain

        try:
            return await self._patiently(talk)
        except (ChannelError, NotReachedError) as error:
            nothing = Missing(str(error))
            return ServedChain(server_name, nothing, nothing)


class BeforeHelloError(ChannelError):
    """The connection broke off before a hello could be sent: it says nothing of TLS."""


class TurnedAwayError(BeforeHelloError, BusyError):
    """And that by the server, which answered before: too many connections, or too fast."""


def _judge(
    version: VersionName,
    answer: Union[Answer, HelloOfSslv2],
    *,
    works: bool,
) -> VersionAnswer:
    """Accepted or refused where the server itself says so, else not known.

    Dovecot refuses a version by closing without an alert: that counts as its word only
    where another hello of this observation was answered (`works`).
    """
    if isinstance(answer, (ServerHello, HelloOfSslv2)):
        number = NUMBERS.get(version, SSLV2)
        return VersionAnswer(version, answer.version == number, answer.proof)
    if isinstance(answer, Alert):
        plain = answer.refuses and answer.after is None
        accepted = False if plain else Missing(f"{answer.proof} says nothing of versions")
        return VersionAnswer(version, accepted, answer.proof)
    if isinstance(answer, ClosedError) and works:
        return VersionAnswer(version, accepted=False, proof=f"{answer} in answer to the hello")
    return VersionAnswer(version, Missing(str(answer)), "")


def _failed_later(answer: Answer) -> bool:
    """Whether it may be for what the server chose, and not for the hello."""
    return isinstance(answer, ClosedError) or (
        isinstance(answer, Alert) and answer.after is not None
    )


async def _or_missing(asked: Awaitable[_T]) -> Union[_T, Missing]:
    try:
        return await asked
    except ChannelError as error:
        return Missing(str(error))
