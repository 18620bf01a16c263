"""Which versions of SSL and TLS a port takes: a hello for each, all at once."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VersionAnswer, VersionName
from mailwitness.probe.answer import NUMBERS, Alert, Answer, ServerHello
from mailwitness.probe.channel import ClosedError
from mailwitness.probe.hello import Offer, everything, without_suites
from mailwitness.probe.questions import FINITE_FIELD, Questions, Say, failed_later
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2
from mailwitness.probe.suites import SUITES

_NEWEST: tuple[VersionName, ...] = ("TLSv1.2", "TLSv1.3")
_OLDER = tuple(version for version in NUMBERS if version not in _NEWEST)
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # its object identifier, RFC 5480 §2.1.1
_PROTOCOL_VERSION = 70  # RFC 8446 §6.2: the alert that is about the version and nothing else

# Suites that TLS 1.2 took over from before it, those first that cost a server least: with keys
# exchanged by RSA it signs nothing.
_TAKEN_OVER = tuple(
    number
    for beginning in ("TLS_RSA_WITH_", "TLS_ECDHE_RSA_WITH_")
    for number, name in SUITES.items()
    if name.startswith(beginning) and name.endswith("_CBC_SHA")
)
_WITHOUT_FINITE_FIELD = ("TLSv1", "TLSv1.1")  # they are offered at first, where it is frugal


async def ask_versions(
    questions: Questions,
) -> tuple[tuple[VersionAnswer, ...], dict[VersionName, Answer]]:
    """What is known of each version, and what was answered to the hello of all but SSL 2.0.

    Such a hello offers everything, unless nothing but versions is looked for: see `_frugal`.
    """
    offer = _frugal if questions.endpoint.depth == "versions" else everything
    first = {version: offer(version) for version in NUMBERS}
    asked: list[Say[Union[ServerHello, Alert, HelloOfSslv2]]] = [say_hello_of_sslv2]
    asked += [questions.hello(first[version]) for version in _OLDER]
    (oldest, *others), newest = await questions.ask_first(asked, [first[one] for one in _NEWEST])
    older = [answer for answer in others if not isinstance(answer, HelloOfSslv2)]
    answers: dict[VersionName, Answer] = {**dict(zip(_OLDER, older)), **dict(zip(_NEWEST, newest))}
    note_keys(questions, (leaf for answer in answers.values() for leaf in _leaf(answer)))
    answers.update(await _unspoilt(questions, first, answers))
    works = chosen(answers)
    versions = (
        judge("SSLv2", oldest, works=works),
        *(judge(version, answer, works=works) for version, answer in answers.items()),
    )
    return versions, answers


def chosen(answers: Mapping[VersionName, Answer]) -> bool:
    """Whether the server has answered any hello by a choice."""
    return any(isinstance(answer, ServerHello) for answer in answers.values())


def note_keys(questions: Questions, leaves: Iterable[bytes]) -> None:
    """What the server's own certificates, DER, mean for further questions."""
    if any(_EC_PUBLIC_KEY in leaf for leaf in leaves):
        questions.has_ecdsa()


def judge(
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


@cache
def _frugal(version: VersionName) -> Offer:
    """What tells whether the version is there at the least cost, and without what may spoil it.

    A server that chose what is first for TLS 1.2 has it for 1.0 and 1.1 too, if it has these. Of
    SSLv3 that is not so, which has no curves.
    """
    whole = everything(version)
    if version == "TLSv1.3":
        return whole
    rest = [number for number in whole.suites if number not in _TAKEN_OVER]
    offer = whole._replace(suites=(*_TAKEN_OVER, *rest))
    return without_suites(offer, *FINITE_FIELD) if version in _WITHOUT_FINITE_FIELD else offer


async def _unspoilt(
    questions: Questions, first: Mapping[VersionName, Offer], answers: Mapping[VersionName, Answer]
) -> dict[VersionName, Answer]:
    """What is answered to versions that may have failed by what the server chose for them.

    A hello names the highest version of its client (RFC 5246 §E.1): where the newest of these
    versions is refused without what may spoil it, a server that closes has none of the older ones
    either. One with alerts is asked for each: GnuTLS refuses TLS 1.1 where it has 1.0 alone.
    """
    failed = [
        version
        for version in NUMBERS
        if version != "TLSv1.3" and _may_be_there(first[version], answers[version])
    ]
    left = {version: _left(questions, first[version], answers) for version in failed}
    if not any(left.values()):
        return {}
    told = await questions.ask_all(left[failed[-1]])
    if all(failed_later(one) or (isinstance(one, Alert) and one.refuses) for one in told):
        failed = [version for version in failed if isinstance(answers[version], Alert)]
    again = await asyncio.gather(
        *(questions.ask(everything(version)) for version in failed if left[version])
    )
    return dict(zip(failed, again))


def _may_be_there(first: Offer, answer: Answer) -> bool:
    """Whether another offer than that first one of a version may have another answer."""
    if isinstance(answer, Alert) and answer.after is None:
        return _lacks(first) and answer.refuses and answer.number != _PROTOCOL_VERSION
    return failed_later(answer)


def _lacks(first: Offer) -> bool:
    return len(first.suites) < len(everything(first.version).suites)


def _left(questions: Questions, first: Offer, answers: Mapping[VersionName, Answer]) -> list[Offer]:
    """Such other offers."""
    whole = everything(first.version)
    offers = [
        offer
        for offer in questions.spared(whole).values()
        if set(offer.suites) != set(first.suites)
    ]
    chosen_first = any(
        isinstance(answer, ServerHello) and answer.suite in _TAKEN_OVER
        for answer in answers.values()
    )
    return offers if chosen_first or not _lacks(first) else [whole, *offers]


def _leaf(answer: Answer) -> tuple[bytes, ...]:
    return answer.certificates[:1] if isinstance(answer, ServerHello) else ()
