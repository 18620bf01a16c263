"""Hellos to one port, each on a connection of its own, and what the end of one proves.

A closing without a word is how Dovecot refuses, and how a server that has too many connections
turns one away. Behind STARTTLS it is a refusal: the server had said that it is ready. With TLS
from the first byte it is one only behind a control: see `Questions._let_in`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Iterable, Sequence
from typing import Callable, NamedTuple, Optional, TypeVar, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Capabilities, Protocol, Reach, Starttls, TlsMode, VersionName
from mailwitness.probe.allowance import Allowance
from mailwitness.probe.answer import NUMBERS, Alert, Answer, ServerHello
from mailwitness.probe.channel import (
    Channel,
    ChannelError,
    ClosedError,
    NotReachedError,
    SilentError,
)
from mailwitness.probe.conversations import (
    BeforeHelloError,
    Conversations,
    Endpoint,
    TurnedAwayError,
)
from mailwitness.probe.dialogues import DIALOGUES, BusyError, Dialogue
from mailwitness.probe.hello import Offer, say_hello, without_suites
from mailwitness.probe.pace import Pace
from mailwitness.probe.suites import SUITES

_TRIES = 8  # of one question to a server that turns its client away now and then

_SHUT = ("refused", "reset")  # how a server that is there may shut its door for a while

_FINITE_FIELD = ("TLS_DHE_", "TLS_DH_anon_")
_ECDSA = ("TLS_ECDHE_ECDSA_",)

_T = TypeVar("_T")
_A = TypeVar("_A")
Told = Union[_T, ChannelError, NotReachedError]
Say = Callable[[Channel], Awaitable[_T]]  # a hello, and what is answered to it


class Opening(NamedTuple):
    """What was said in clear up to where TLS begins."""

    greeting: str
    capabilities: Capabilities
    starttls: Starttls


class Questions:
    """What is asked of one port, and what the answers so far tell of the next ones.

    `reach` and `opening` are those of the first connection on which there were any.
    """

    def __init__(
        self, talks: Conversations, endpoint: Endpoint, protocol: Protocol, tls: TlsMode
    ) -> None:
        self.talks = talks
        self.endpoint = endpoint
        self.protocol = protocol
        self.tls = tls
        self.allowance = Allowance(talks.limits.endpoint)
        untried = "no connection was tried"
        self.reach = Reach("error", untried, 0.0, Missing(untried))
        self.opening: Optional[Opening] = None
        self.works = False  # a handshake by the local library has come about
        self._control: Optional[Offer] = None  # one that the server has answered by a choice
        self._closes = False  # in answer to a hello, whatever it means by it
        self._with_ecdsa = False
        self._finite_field_works = False
        self._ecdsa_works: set[int] = set()  # versions by their numbers
        # By version, what an offer was answered without that had been closed with it.
        self._spoilt: dict[VersionName, tuple[str, ...]] = {}

    @property
    def dialogue(self) -> Dialogue:
        """What is spoken there."""
        return DIALOGUES[self.protocol]

    def hello(self, offer: Offer) -> Say[Union[ServerHello, Alert]]:
        """The hello of this offer; the first one that is answered by a choice is the control."""

        async def say(channel: Channel) -> Union[ServerHello, Alert]:
            answer = await say_hello(channel, offer)
            if isinstance(answer, ServerHello) and self._control is None:
                self._control = offer
            return answer

        return say

    def has_ecdsa(self) -> None:
        """The server has shown a certificate with such a key."""
        self._with_ecdsa = True

    def spared(self, offer: Offer) -> "dict[tuple[str, ...], Offer]":
        """The same without what may have spoilt it, by the beginnings of suites left out.

        A server may choose a suite for which it then lacks something, and end: that refuses
        nothing else of the offer. Dovecot up to 2.3 without ssl_dh has no parameters for
        finite-field Diffie-Hellman; OpenSSL 1.1.1 at level 2 does not sign with an ECDSA key up
        to TLS 1.1.
        """
        finite_field = () if self._finite_field_works else _FINITE_FIELD
        signed = self._with_ecdsa and NUMBERS[offer.version] not in self._ecdsa_works
        ecdsa = _ECDSA if signed else ()
        offers = {
            spoiling: without_suites(offer, *spoiling)
            for spoiling in (finite_field, ecdsa, finite_field + ecdsa)
            if spoiling
        }
        return {
            spoiling: fewer
            for spoiling, fewer in offers.items()
            if fewer.suites not in ((), offer.suites)
        }

    async def ask(self, offer: Offer) -> Answer:
        """One hello; where the connection closes, again without what may have spoilt it."""
        offers: dict[tuple[str, ...], Offer] = {(): offer, **self.spared(offer)}
        before = self._spoilt.get(offer.version, ())
        first = before if before in offers else ()
        answer = await self.answer(self.hello(offers[first]))
        if isinstance(answer, ServerHello) or (not first and not failed_later(answer)):
            return answer
        if not (isinstance(answer, ClosedError) and self._by_control):
            del offers[first]  # it is no question any more
        told = await self.ask_all(offers.values())
        for spoiling, one in zip(offers, told):
            if isinstance(one, ServerHello):
                self._spoilt[offer.version] = spoiling
                return one
        return next((one for one in (*told, answer) if not failed_later(one)), answer)

    async def ask_first(
        self, others: Sequence[Say[_T]], newest: Sequence[Offer]
    ) -> tuple[list[Told[_T]], list[Answer]]:
        """The first questions of all, at once; a server that works chooses from one of `newest`."""
        if self.tls == "starttls":
            told, answers = await asyncio.gather(self.ask_together(others), self.ask_all(newest))
            return told, answers

        async def newest_again(places: list[int]) -> list[Answer]:
            again = await self.ask_all(newest[at] for at in places)
            if any(isinstance(answer, ServerHello) for answer in again):
                self._pace.refused(begun)  # what it closed at was not the hello
            return again

        begun = time.monotonic()
        found = await self._let_in(others, newest)
        if found is None:
            answers = await self._one_after_the_other(newest, begun)
            found = await self.ask_together(others), answers
        told, answers = found
        return told, await self._proven(answers, newest_again)  # they had no control

    async def _one_after_the_other(self, newest: Sequence[Offer], begun: float) -> list[Answer]:
        """Where none was answered of those that were asked together, at `begun`."""
        answers: list[Answer] = []
        for _ in range(_TRIES):
            answers = []
            for offer in newest:
                await asyncio.sleep(self.talks.limits.lingering)
                answers.append(await self.ask(offer))
            # Alone it is answered, or another handshake was: they were too many, or still are.
            if self._control in newest or (self._control is None and self.works):
                self._pace.refused(begun)
            if self._control is not None or not self.works or self._pace.gave_up:
                break
            begun = time.monotonic()
        return answers

    async def ask_all(self, offers: Iterable[Offer]) -> list[Answer]:
        """Several hellos, side by side."""
        return await self.ask_together([self.hello(offer) for offer in offers])

    async def ask_together(self, says: Sequence[Say[_T]]) -> list[Told[_T]]:
        """Several at once; who closes then refuses, unless no hello was ever answered here."""
        if not (self._by_control and self._closes):

            async def again(places: list[int]) -> list[Told[_T]]:
                return await self.ask_together([says[at] for at in places])

            return await self._proven(await self._answers(says), again)
        told: list[Told[_T]] = []
        for _ in range(_TRIES):
            while len(told) < len(says):
                found = await self._proved(says[len(told) :])
                if found is None:
                    break
                told += found
            if len(told) == len(says) or self._pace.gave_up:
                break
        away = TurnedAwayError("turned away: closed before any answer, as every hello was then")
        return [*told, *[away] * (len(says) - len(told))]

    async def _answers(self, says: Sequence[Say[_T]]) -> list[Told[_T]]:
        return list(await asyncio.gather(*(self.answer(say) for say in says)))

    async def _proven(
        self, told: Sequence[_A], again: Callable[[list[int]], Awaitable[list[_A]]]
    ) -> list[_A]:
        """The same where what was closed is asked again, if there is a control by now."""
        proven = list(told)
        closed = [at for at, one in enumerate(told) if isinstance(one, ClosedError)]
        if self._by_control and closed:
            for at, one in zip(closed, await again(closed)):
                proven[at] = one
        return proven

    async def answer(self, say: Say[_T]) -> Told[_T]:
        """What is said to one hello, on a connection of its own; a closing may mean anything."""

        async def talk(channel: Channel, _: Reach) -> _T:
            await self.to_tls(channel)
            return await say(channel)

        try:
            return self._heard(await self.patiently(talk))
        except (ChannelError, NotReachedError) as error:
            return self._heard(error)

    async def patiently(self, talk: Callable[[Channel, Reach], Awaitable[_T]]) -> _T:
        """`talk` on a connection of its own; again, as slowly as the server wants it.

        Raises:
            TurnedAwayError, BusyError: it was turned away each time.
        """
        for _ in range(_TRIES):
            begun = time.monotonic()
            try:
                async with self.talks.open(self.endpoint, self.allowance) as (channel, reach):
                    self._reached(reach)
                    return await talk(channel, reach)
            except BusyError as error:
                turned_away: Exception = error
            except NotReachedError as error:
                if self.reach.state != "open" or error.reach.state not in _SHUT:
                    raise
                self._pace.refused(begun)
                turned_away = error
            if self._pace.gave_up:
                break
        raise turned_away

    async def to_tls(self, channel: Channel) -> None:
        """To where the hello is due, by the same words as at first."""
        if self.tls == "implicit":
            return
        try:
            greeting = await self.dialogue.greeting(channel)
            offered = await self.capabilities(channel, greeting)
            upgrade = await self.dialogue.starttls(channel, offered)
        except BusyError as error:
            raise TurnedAwayError(str(error)) from None
        except ClosedError as error:
            raise TurnedAwayError(f"turned away: {error}") from None
        except ChannelError as error:
            raise BeforeHelloError(str(error)) from None
        if self.opening is None:
            self.opening = Opening(greeting, offered, upgrade)
        if upgrade.state != "ready":
            await self.leave(channel)
            raise BeforeHelloError(f"STARTTLS {upgrade.state}: {upgrade.detail}")

    async def capabilities(self, channel: Channel, greeting: str) -> Capabilities:
        """What the server can do, from its greeting where that says so."""
        return self.dialogue.capabilities_in(greeting) or await self.dialogue.capabilities(channel)

    async def leave(self, channel: Channel) -> None:
        """The orderly end."""
        with contextlib.suppress(ChannelError):
            await self.dialogue.goodbye(channel)

    @property
    def _pace(self) -> Pace:
        return self.talks.pace(self.endpoint)

    @property
    def _at_once(self) -> int:
        """How many connections there may be together."""
        return min(self._pace.at_once, self.talks.limits.connections)

    @property
    def _by_control(self) -> bool:
        """Whether a closing is asked about again: it may refuse, and there is a control."""
        return self.tls == "implicit" and self._control is not None

    def _reached(self, reach: Reach) -> None:
        if self.reach.state != "open":
            self.reach = reach

    def _heard(self, told: Told[_T]) -> Told[_T]:
        """Keep what an answer says of others to come."""
        if isinstance(told, ClosedError):
            self._closes = True
        elif isinstance(told, ServerHello) and told.whole:
            chosen = SUITES.get(told.suite, "")
            if chosen.startswith(_FINITE_FIELD):
                self._finite_field_works = True
            elif chosen.startswith(_ECDSA):
                self._ecdsa_works.add(told.version)
        return told

    async def _proved(self, says: Sequence[Say[_T]]) -> Optional[Sequence[Told[_T]]]:
        """What is said to the first of them, to one at least; None: it was turned away."""
        assert self._control is not None
        begun = time.monotonic()
        if self._at_once > 1:
            found = await self._let_in(says[: self._at_once - 1], [self._control])
            if found is not None:
                return found[0]
        else:
            # One at a time is what the server bears: the control has to come after the end.
            await asyncio.sleep(self.talks.limits.lingering)
            told = await self.answer(says[0])
            if not isinstance(told, ClosedError):
                return [told]
            await asyncio.sleep(self.talks.limits.lingering)
            if isinstance(await self.answer(self.hello(self._control)), ServerHello):
                return [told]
        self._pace.refused(begun)
        return None

    async def _let_in(
        self, says: Sequence[Say[_T]], controls: Sequence[Offer]
    ) -> Optional[tuple[list[Told[_T]], list[Answer]]]:
        """What is said to hellos on connections that the server had let in; None: it did not.

        All are opened before anything is said, those of the controls last; and one of these is
        answered before anything is said on the others. A server that turns clients away does so
        at its door, the last one first: what is still open then has been let in, and a closing
        after that is its answer to what it heard.
        """
        count = len(says) + len(controls)
        if count > self._at_once:
            return None
        try:
            async with self.talks.together(self.endpoint, self.allowance, count) as ends:
                for end in ends:
                    if isinstance(end, tuple):
                        self._reached(end[1])
                if self.reach.state != "open":  # by none of them, nor ever before
                    refused = [end for end in ends if isinstance(end, NotReachedError)]
                    return list(refused[: len(says)]), list(refused[len(says) :])
                answers = await asyncio.gather(
                    *(
                        self._said(end, self.hello(offer))
                        for end, offer in zip(ends[len(says) :], controls)
                    )
                )
                heard = any(isinstance(answer, (ServerHello, Alert)) for answer in answers)
                if heard or all(isinstance(answer, SilentError) for answer in answers):
                    told = await asyncio.gather(
                        *(self._said(end, say) for end, say in zip(ends, says))
                    )
                    if not heard:  # who turns clients away closes: there is nothing to wait for
                        return [_doubted(one) for one in told], list(answers)
                    if not any(isinstance(one, BusyError) for one in (*told, *answers)):
                        self._pace.taken()
                        return list(told), list(answers)
        except ChannelError as error:
            return [error] * len(says), [error] * len(controls)
        return None

    async def _said(
        self, end: Union[tuple[Channel, Reach], NotReachedError], say: Say[_T]
    ) -> Told[_T]:
        if isinstance(end, NotReachedError):
            shut = end.reach.state in _SHUT
            return TurnedAwayError(f"turned away: {end}") if shut else end
        channel, _ = end
        if channel.ended:
            return TurnedAwayError("turned away: closed before the hello")
        try:
            return self._heard(await say(channel))
        except ChannelError as error:
            return self._heard(error)


def _doubted(told: Told[_T]) -> Told[_T]:
    """Where no control has proved what a closing is."""
    return (
        ChannelError(f"{told}, with no answer to any hello")
        if isinstance(told, ClosedError)
        else told
    )


def failed_later(answer: object) -> bool:
    """Whether it may be for what the server chose, and not for the hello."""
    return isinstance(answer, ClosedError) or (
        isinstance(answer, Alert) and answer.after is not None
    )
