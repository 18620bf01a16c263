"""Which versions of SSL and TLS a port takes: a hello for each, all at once."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VersionAnswer, VersionName
from mailwitness.probe.answer import NUMBERS, Alert, Answer, ServerHello
from mailwitness.probe.channel import ClosedError
from mailwitness.probe.hello import Offer, everything
from mailwitness.probe.questions import Questions, Say, failed_later
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2
from mailwitness.probe.suites import SUITES

_NEWEST: tuple[VersionName, ...] = ("TLSv1.2", "TLSv1.3")
_OLDER = tuple(version for version in NUMBERS if version not in _NEWEST)
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # its object identifier, RFC 5480 §2.1.1

# Suites that TLS 1.2 took over from before it, by how they begin, and where they are of use; those
# first that cost a server least: with keys exchanged by RSA it signs nothing.
_TAKEN_OVER: dict[str, tuple[VersionName, ...]] = {
    "TLS_RSA_WITH_": _OLDER,
    "TLS_ECDHE_RSA_WITH_": ("TLSv1", "TLSv1.1"),  # SSLv3 has no extension for curves
}


async def ask_versions(
    questions: Questions,
) -> tuple[tuple[VersionAnswer, ...], dict[VersionName, Answer]]:
    """What is known of each version, and what was answered to the hello of all but SSL 2.0.

    Such a hello offers everything; where nothing but versions is looked for, in an order of its
    own: see `_frugal`.
    """
    offer = _frugal if questions.endpoint.depth == "versions" else everything
    asked: list[Say[Union[ServerHello, Alert, HelloOfSslv2]]] = [say_hello_of_sslv2]
    asked += [questions.hello(offer(version)) for version in _OLDER]
    (oldest, *others), newest = await questions.ask_first(asked, [*map(offer, _NEWEST)])
    older = [answer for answer in others if not isinstance(answer, HelloOfSslv2)]
    answers: dict[VersionName, Answer] = {**dict(zip(_OLDER, older)), **dict(zip(_NEWEST, newest))}
    note_keys(questions, (leaf for answer in answers.values() for leaf in _leaf(answer)))
    answers.update(await _unspoilt(questions, answers))
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
    """Everything, first what costs the server least and old versions have as well: see `_left`."""
    whole = everything(version)
    first = [
        number
        for beginning in _TAKEN_OVER
        for number in whole.suites
        if _was_taken_over(number, beginning)
    ]
    return whole._replace(suites=(*first, *(each for each in whole.suites if each not in first)))


def _was_taken_over(suite: int, beginning: str) -> bool:
    name = SUITES.get(suite, "")
    return name.startswith(beginning) and name.endswith("_CBC_SHA")


async def _unspoilt(
    questions: Questions, answers: Mapping[VersionName, Answer]
) -> dict[VersionName, Answer]:
    """What is answered to versions that may have failed by what the server chose for them.

    A hello names the highest version of its client (RFC 5246 §E.1): where the newest of these
    versions is refused without what may spoil it, the server has none of the older ones either.
    """
    failed = [version for version, answer in answers.items() if failed_later(answer)]
    left = {
        version: _left(questions, version, answers) for version in failed if version != "TLSv1.3"
    }
    if not any(left.values()):
        return {}
    told = await questions.ask_all(left[[*left][-1]])
    again = [version for version, offers in left.items() if offers]
    if all(failed_later(one) or (isinstance(one, Alert) and one.refuses) for one in told):
        # An alert came after a choice of that version: it is asked for what it will have.
        again = [version for version in again if isinstance(answers[version], Alert)]
    asked = await asyncio.gather(*(questions.ask(everything(version)) for version in again))
    return dict(zip(again, asked))


def _left(
    questions: Questions, version: VersionName, answers: Mapping[VersionName, Answer]
) -> list[Offer]:
    """The offers that may have another answer than everything had, which failed.

    What was chosen for one version from everything comes before all else by whichever end's order,
    and so it does for another that has it: there the choice is none that spoils a handshake.
    """
    if any(
        isinstance(answer, ServerHello) and _was_taken_over(answer.suite, beginning)
        for beginning, versions in _TAKEN_OVER.items()
        if version in versions
        for answer in answers.values()
    ):
        return []
    return list(questions.spared(everything(version)).values())


def _leaf(answer: Answer) -> tuple[bytes, ...]:
    return answer.certificates[:1] if isinstance(answer, ServerHello) else ()
