"""Which versions of SSL and TLS a port takes: a hello for each, all at once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import VersionAnswer, VersionName
from mailwitness.probe.answer import NUMBERS, Alert, Answer, ServerHello
from mailwitness.probe.channel import ClosedError
from mailwitness.probe.hello import everything
from mailwitness.probe.questions import Questions, Say, failed_later
from mailwitness.probe.sslv2 import SSLV2, HelloOfSslv2, say_hello_of_sslv2

_NEWEST: tuple[VersionName, ...] = ("TLSv1.2", "TLSv1.3")
_OLDER = tuple(version for version in NUMBERS if version not in _NEWEST)
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # its object identifier, RFC 5480 §2.1.1


async def ask_versions(
    questions: Questions,
) -> tuple[tuple[VersionAnswer, ...], dict[VersionName, Answer]]:
    """What is known of each version, and what was answered to the hello of all but SSL 2.0."""
    asked: list[Say[Union[ServerHello, Alert, HelloOfSslv2]]] = [say_hello_of_sslv2]
    asked += [questions.hello(everything(version)) for version in _OLDER]
    if questions.endpoint.depth == "versions" and questions.protocol != "smtp":
        # Dovecot up to 2.3 refuses by closing, which is asked about: see `_unspoilt`. Where
        # nothing else is waited for that would be a second round.
        asked += map(questions.hello, questions.spared(everything(_OLDER[-1])).values())
    (oldest, *others), newest = await questions.ask_first(asked, [*map(everything, _NEWEST)])
    older = [answer for answer in others if not isinstance(answer, HelloOfSslv2)]
    answers: dict[VersionName, Answer] = {**dict(zip(_OLDER, older)), **dict(zip(_NEWEST, newest))}
    note_keys(questions, (leaf for answer in answers.values() for leaf in _leaf(answer)))
    answers.update(await _unspoilt(questions, answers, older[len(_OLDER) :]))
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


async def _unspoilt(
    questions: Questions, answers: Mapping[VersionName, Answer], known: Sequence[Answer]
) -> dict[VersionName, Answer]:
    """What is answered to versions that may have failed by what the server chose for them.

    A hello names the highest version of its client (RFC 5246 §E.1): where the newest of these
    versions is refused without what may spoil it, the server has none of the older ones either.
    `known` is what was answered to the first such hello of the newest of the old versions.
    """
    failed = [
        version
        for version, answer in answers.items()
        if failed_later(answer) and questions.spared(everything(version))
    ]
    if not failed:
        return {}
    told = list(known) if failed[-1] == _OLDER[-1] else []
    offers = list(questions.spared(everything(failed[-1])).values())
    told += await questions.ask_all(offers[len(told) :])
    if all(failed_later(one) or (isinstance(one, Alert) and one.refuses) for one in told):
        # An alert came after a choice of that version: it is asked for what it will have.
        failed = [version for version in failed if isinstance(answers[version], Alert)]
    again = await asyncio.gather(*(questions.ask(everything(version)) for version in failed))
    return dict(zip(failed, again))


def _leaf(answer: Answer) -> tuple[bytes, ...]:
    return answer.certificates[:1] if isinstance(answer, ServerHello) else ()
