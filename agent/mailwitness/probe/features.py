"""What goes with a handshake beside the choice of suite, as the server's answers show it."""

from collections.abc import Mapping
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Features, VersionName
from mailwitness.probe.answer import Alert, Answer, ServerHello, accepted_among, unanswered
from mailwitness.probe.channel import ClosedError
from mailwitness.probe.enumeration import Ask
from mailwitness.probe.hello import everything
from mailwitness.probe.suites import SUITES

_ENCRYPT_THEN_MAC, _MASTER_SECRET, _TICKET, _RENEGOTIATION = 22, 23, 35, 0xFF01
_INAPPROPRIATE_FALLBACK = 86


async def features(ask: Ask, answers: Mapping[VersionName, Answer]) -> Features:
    """From `answers`, those to hellos that offered everything, and three more at most."""
    accepted = accepted_among(answers)
    older = [answer for version, answer in accepted.items() if version != "TLSv1.3"]
    fallback = await _fallback(ask, accepted)
    if not older:
        return Features(None, None, None, None, None, None, None, fallback)
    answer = older[-1]
    cut = None if answer.whole else Missing("the server's answer broke off")
    version = next(name for name, found in accepted.items() if found is answer)
    extensible = version != "SSLv3"
    return Features(
        secure_renegotiation=_RENEGOTIATION in answer.extensions,
        compression=answer.compression != 0,
        session_tickets=_TICKET in answer.extensions if extensible else None,
        extended_master_secret=_MASTER_SECRET in answer.extensions if extensible else None,
        encrypt_then_mac=await _encrypt_then_mac(ask, version) if extensible else None,
        ocsp_stapling=(cut or answer.stapled) if extensible else None,
        client_certificate=cut or answer.asks_certificate,
        fallback_scsv=fallback,
    )


async def _encrypt_then_mac(ask: Ask, version: VersionName) -> Union[bool, Missing, None]:
    """A server says so only where it has chosen a suite of CBC (RFC 7366 §3)."""
    base = everything(version)
    chaining = tuple(number for number in base.suites if "_CBC_" in SUITES[number])
    answer = await ask(base._replace(suites=chaining))
    if isinstance(answer, ServerHello):
        return _ENCRYPT_THEN_MAC in answer.extensions
    if isinstance(answer, Alert) and answer.refuses:
        return None
    return unanswered(answer)


async def _fallback(
    ask: Ask, accepted: Mapping[VersionName, ServerHello]
) -> Union[bool, Missing, None]:
    """Whether the last version but one is refused to a client that says it has a newer one."""
    if len(accepted) < 2:  # noqa: PLR2004
        return None
    version = list(accepted)[-2]
    # Nothing but what it chose before: no other choice can make this fail.
    known = everything(version)._replace(suites=(accepted[version].suite,))
    answer = await ask(known._replace(fallback=True))
    if isinstance(answer, ServerHello):
        return False
    if isinstance(answer, Alert):
        return answer.number == _INAPPROPRIATE_FALLBACK or Missing(answer.proof)
    if isinstance(answer, ClosedError):  # so Dovecot refuses, unless it has had enough of us
        control = await ask(known)
        if isinstance(control, ServerHello):
            return True
    return Missing(str(answer))
