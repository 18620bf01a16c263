"""What a port behind postscreen(8) offers: as smtpd, or as itself with the TLS of tlsproxy."""

from collections.abc import Mapping
from dataclasses import replace

from mailwitness.evidence.host import TlsLibrary
from mailwitness.evidence.missing import Missing
from mailwitness.host.postscreen import announced, of_tls
from mailwitness.resolver import postfix
from mailwitness.resolver.library import Key
from mailwitness.resolver.offer import Offer, VersionOffer

_EITHER = Missing(
    "postscreen's tests after the greeting: new clients get its own answer, which is other than "
    "smtpd's"
)


def own_offer(
    settings: Mapping[str, str], library: TlsLibrary | Missing, keys: tuple[Key, ...] | Missing
) -> Offer:
    """Its own answers.

    Args:
        settings: the effective ones of the service.
        library: the TLS library that tlsproxy loads.
        keys: those of tlsproxy's certificates.
    """
    if postfix.tls_use(announced(settings)) == "none":
        return Offer("none", (), {}, (), None)
    its = postfix.offer(of_tls(settings), library, keys, ())
    if its.tls == "none":
        why = Missing("postscreen offers STARTTLS, and tlsproxy is set to do no TLS")
        return replace(its, tls="starttls", versions=why, suites=why, mechanisms_inside_tls=why)
    return its


def either(smtpd: Offer, own: Offer) -> Offer:
    """What holds of both, since which of them a client gets hangs on who it is."""
    if smtpd.tls != own.tls:
        return Offer.unknown(_EITHER)
    return Offer(
        smtpd.tls,
        _versions(smtpd, own),
        smtpd.suites if smtpd.suites == own.suites else _EITHER,
        _mechanisms(smtpd.mechanisms_before_tls, own.mechanisms_before_tls),
        _mechanisms(smtpd.mechanisms_inside_tls, own.mechanisms_inside_tls),
    )


def _versions(smtpd: Offer, own: Offer) -> tuple[VersionOffer, ...] | Missing:
    if isinstance(smtpd.versions, Missing) or isinstance(own.versions, Missing):
        return smtpd.versions if smtpd.versions == own.versions else _EITHER
    return tuple(
        one if one.offered == other.offered else replace(one, offered=_EITHER)
        for one, other in zip(smtpd.versions, own.versions, strict=True)
    )


def _mechanisms(
    smtpd: tuple[str, ...] | Missing | None, own: tuple[str, ...] | Missing | None
) -> tuple[str, ...] | Missing | None:
    return smtpd if smtpd == own else _EITHER
