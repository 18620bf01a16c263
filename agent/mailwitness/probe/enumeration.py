"""Every suite, group and signature algorithm of an endpoint: a connection for each, and one more.

A server chooses from what is offered; what it chose is taken off the next offer, until it refuses.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Callable, Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Enumerated, Negotiation, Order, Prime, VersionName
from mailwitness.probe.answer import (
    NUMBERS,
    Alert,
    Answer,
    ServerHello,
    accepted_among,
    unanswered,
)
from mailwitness.probe.channel import ClosedError
from mailwitness.probe.hello import Offer, everything, with_suites
from mailwitness.probe.parameters import (
    CURVES_OF_CERTIFICATES,
    GROUPS,
    GROUPS_OF_TLS_1_3,
    SHARES,
    SIGNATURES,
)
from mailwitness.probe.suites import SUITES, SUITES_OF_TLS_1_3

Ask = Callable[[Offer], Awaitable[Answer]]  # one hello on a connection of its own
AskAll = Callable[[Iterable[Offer]], Awaitable[list[Answer]]]  # several, side by side

_ELLIPTIC = ("TLS_ECDHE_", "TLS_ECDH_anon_")
_SIGNED = ("TLS_ECDHE_", "TLS_DHE_")
# How signatures of TLS 1.3 begin, by the key (RFC 8446 §4.2.3); none of the others is due there.
_KEYS = ("ecdsa_secp", "ed", "rsa_pss_rsae_", "rsa_pss_pss_", "")


async def negotiation(
    ask: Ask, ask_all: AskAll, answers: Mapping[VersionName, Answer]
) -> Negotiation:
    """All of it; `answers` are those to hellos that offered everything, one for each version."""
    accepted = accepted_among(answers)
    suites = [_suites(ask, version, first) for version, first in accepted.items()]
    groups = list(_groups(ask, accepted))
    signatures = [_signatures(ask)] if "TLSv1.2" in accepted else []
    if "TLSv1.3" in accepted:
        signatures.append(_UnseenSearch(ask, ask_all, accepted["TLSv1.3"]))
    searches = [*suites, *groups, *signatures]
    await asyncio.gather(*(search.run() for search in searches))
    if any(isinstance(search.end, ClosedError) for search in searches):
        # Dovecot refuses by closing. A server that is overrun closes, too, but then it does not
        # answer what it answered before.
        control = await ask(everything(next(iter(accepted))))
        for search in searches:
            search.settle(works=isinstance(control, ServerHello))
    return Negotiation(
        suites=tuple(search.found() for search in suites),
        groups=tuple(search.found() for search in groups),
        signatures=tuple(search.found() for search in signatures),
        primes=_primes(answer for search in searches for answer in search.answers),
    )


def _primes(answers: Iterable[ServerHello]) -> tuple[Prime, ...]:
    suites: dict[int, set[str]] = {}
    for answer in answers:
        if answer.dh_bits is not None:
            suites.setdefault(answer.dh_bits, set()).add(SUITES[answer.suite])
    return tuple(Prime(bits, tuple(sorted(names))) for bits, names in sorted(suites.items()))


def _suites(ask: Ask, version: VersionName, first: ServerHello) -> "_Search":
    base = everything(version)
    return _Search(
        ask,
        version,
        SUITES_OF_TLS_1_3 if version == "TLSv1.3" else SUITES,
        lambda numbers: base._replace(suites=numbers),
        lambda answer: answer.suite,
        first,
    )


def _groups(ask: Ask, accepted: Mapping[VersionName, ServerHello]) -> Iterator["_Search"]:
    older = [version for version in accepted if version not in ("SSLv3", "TLSv1.3")]
    if older:
        base = with_suites(everything(older[-1]), *_ELLIPTIC)
        yield _GroupSearch(
            ask,
            older[-1],
            GROUPS,
            lambda numbers: base._replace(groups=numbers),
            lambda answer: answer.group,
        )
    if "TLSv1.3" in accepted:
        newest = everything("TLSv1.3")
        yield _Search(
            ask,
            "TLSv1.3",
            GROUPS_OF_TLS_1_3,
            lambda numbers: newest._replace(groups=numbers),
            lambda answer: answer.group,
            accepted["TLSv1.3"],
        )


def _signatures(ask: Ask) -> "_Search":
    base = with_suites(everything("TLSv1.2", anonymous=False), *_SIGNED)
    return _Search(
        ask,
        "TLSv1.2",
        SIGNATURES,
        lambda numbers: base._replace(signatures=numbers),
        lambda answer: answer.signature,
    )


class _Search:
    """One kind of thing: offer all, take away what is chosen, and so on to the refusal."""

    def __init__(  # noqa: PLR0913, PLR0917 - one call for each kind, above
        self,
        ask: Ask,
        version: VersionName,
        names: Mapping[int, str],
        offer: Callable[[tuple[int, ...]], Offer],
        chosen: Callable[[ServerHello], Optional[int]],
        first: Optional[ServerHello] = None,
    ) -> None:
        self.version = version
        self.answers: list[ServerHello] = []
        self.numbers: list[int] = []
        self._failing: list[int] = []  # chosen, and then the handshake failed
        self.end: Union[str, Missing, ClosedError] = Missing("nothing was asked")
        self._order: Union[Order, Missing, None] = None
        self._ask = ask
        self._names = names
        self._offer = offer
        self._chosen = chosen
        self._first = first

    async def run(self) -> None:
        await self._exhaust()
        if len(self.numbers) > 1:
            self._order = await self._whose_order()

    def settle(self, *, works: bool) -> None:
        """Make a refusal of a bare closing, or nothing, as the server still `works` or not."""
        if isinstance(self.end, ClosedError):
            said = f"{self.end} in answer to the hello"
            self.end = said if works else Missing(f"{said}, and so it did at a control")

    def found(self) -> Enumerated:
        assert not isinstance(self.end, ClosedError)
        names = tuple(self._name(number) for number in self.numbers)
        return Enumerated(self.version, names, self.end, self._order)

    async def _exhaust(self, *beside: int) -> None:
        """Ask until the server refuses, or chooses what is offered `beside` what is asked for."""
        while rest := self._rest(beside):
            answer: Answer
            if self._first is not None:
                answer, self._first = self._first, None
            else:
                answer = await self._ask(self._offer((*rest, *beside)))
            end = self._take(answer, rest, beside)
            if end is not None:
                self.end = end
                return
        self.end = "nothing is left to offer"

    def _rest(self, beside: tuple[int, ...]) -> tuple[int, ...]:
        gone = {*self.numbers, *self._failing, *beside}
        return tuple(number for number in self._names if number not in gone)

    def _take(
        self, answer: Answer, rest: tuple[int, ...], beside: tuple[int, ...]
    ) -> Union[str, Missing, ClosedError, None]:
        """None where something new was chosen, else why this is the end."""
        if isinstance(answer, Alert):
            chosen = None if answer.after is None else self._chosen(answer.after)
            if chosen is not None and chosen in rest:
                self._failing.append(chosen)
                return None
            return answer.proof if answer.refuses else Missing(f"{answer.proof} refuses nothing")
        if isinstance(answer, ClosedError):
            return answer
        if not isinstance(answer, ServerHello):
            return Missing(str(answer))
        self.answers.append(answer)
        chosen = self._chosen(answer)
        if answer.version != NUMBERS[self.version] or chosen in beside:
            return answer.proof
        if chosen not in rest:
            return Missing(f"{answer.proof}: nothing that was offered")
        self.numbers.append(chosen)
        return None

    async def _whose_order(self) -> Union[Order, Missing]:
        """Offer the other way round: who heeds its client chooses the last one now."""
        answer = await self._ask(self._offer(tuple(reversed(self.numbers))))
        if not isinstance(answer, ServerHello):
            return unanswered(answer)
        chosen = self._chosen(answer)
        if chosen == self.numbers[0]:
            return "server"
        if chosen == self.numbers[-1]:
            return "client"
        name = "nothing" if chosen is None else self._name(chosen)
        return Missing(f"neither: {name} out of the middle")

    def _name(self, number: int) -> str:
        return self._names.get(number, f"0x{number:04x}")


class _GroupSearch(_Search):
    """Curves up to TLS 1.2, where one of them may be that of the certificate's key.

    A server has no use for such a key where the client does not offer its curve (RFC 8422 §5.1):
    it refuses all others as soon as that one is taken away.
    """

    async def _exhaust(self, *beside: int) -> None:
        await super()._exhaust(*beside)
        if self.numbers and self.numbers[-1] in CURVES_OF_CERTIFICATES:
            known = isinstance(self.end, (str, ClosedError))
            if known:
                await super()._exhaust(self.numbers[-1])


class _UnseenSearch(_Search):
    """Signatures of TLS 1.3, where the choice is encrypted: what the server can make at all.

    One that can sign with nothing of an offer refuses it in clear (RFC 8446 §4.4.2.2), but only
    where the hello has a key share that it takes. What one key may sign with is asked together,
    then each of what is not refused by itself.
    """

    def __init__(self, ask: Ask, ask_all: AskAll, first: ServerHello) -> None:
        self._base = everything("TLSv1.3")
        self._ask_all = ask_all
        super().__init__(
            ask,
            "TLSv1.3",
            SIGNATURES,
            lambda numbers: self._base._replace(signatures=numbers),
            lambda _: None,
        )
        self._chosen_first = first.group

    async def run(self) -> None:
        await self._share()
        ends: list[Union[str, Missing, ClosedError]] = ["nothing is left to offer"]
        together = self._by_key()
        while together:
            asked, together = together, []
            answers = await self._ask_all(map(self._offer, asked))
            for numbers, answer in zip(asked, answers):
                if not isinstance(answer, ServerHello):
                    end = self._take(answer, numbers, ())
                    assert end is not None  # it is no choice
                    ends.append(end)
                elif answer.retry:
                    ends.append(Missing(f"{answer.proof}: no key share that it takes was sent"))
                elif len(numbers) == 1:
                    self.numbers += numbers
                else:
                    together += [(number,) for number in numbers]
        self.numbers.sort(key=list(self._names).index)
        # One that is not known leaves the rest unknown; then a closing, which `settle` is to judge.
        self.end = min(reversed(ends), key=lambda end: (Missing, ClosedError, str).index(type(end)))

    async def _share(self) -> None:
        """Have a share of a group that the server takes in all hellos, if there is one."""
        group = self._chosen_first
        if group not in SHARES:
            answer = await self._ask(self._base._replace(groups=tuple(SHARES)))
            group = answer.group if isinstance(answer, ServerHello) else None
        if group is not None and group in SHARES:
            self._base = self._base._replace(groups=(group,), shared=group)

    def _by_key(self) -> list[tuple[int, ...]]:
        """All numbers, together what one kind of key signs with."""
        kinds: dict[str, list[int]] = {}
        for number, name in self._names.items():
            kind = next(kind for kind in _KEYS if name.startswith(kind))
            kinds.setdefault(kind, []).append(number)
        return [tuple(numbers) for numbers in kinds.values()]
