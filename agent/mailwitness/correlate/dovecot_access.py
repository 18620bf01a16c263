"""Whom Dovecot keeps out by its own rules, and from where its users may log in."""

from collections.abc import Iterable, Iterator, Mapping

from mailwitness.correlate.filtered import Gate
from mailwitness.correlate.hosts_access import refused
from mailwitness.correlate.networks import networks
from mailwitness.evidence.host import AccessControl, Dovecot, DovecotListener, Passdb
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, NOTHING, IntervalSet, union

_MOST_SHOWN = 200  # characters of a list of networks


def kept_out(
    family: int,
    listener: DovecotListener,
    settings: Mapping[str, str],
    access: AccessControl,
) -> Iterator[Gate]:
    """By each of its rules; `settings`: the effective ones of the listener's protocol."""
    yield from _tcp_wrappers(family, access, listener.service.removesuffix("-login"))
    if listener.haproxy:
        name = "haproxy_trusted_networks"
        trusted = settings.get(name, "")
        own = networks(family, trusted.replace(",", " ").split())
        said = f"Dovecot's inet_listener {listener.name} takes the PROXY protocol of {name} alone"
        if own is None:
            yield Gate.of_service(family, EVERYTHING, f"{said}: {trusted!a}", surely=False)
        else:
            yield Gate.of_service(family, ~own, said, surely=True)


def _tcp_wrappers(family: int, access: AccessControl, protocol: str) -> Iterator[Gate]:
    """Only where Dovecot, before 2.4, was told to ask hosts_access(5): for "imap" or "pop3"."""
    asks, allow, deny = access.dovecot_access_sockets, access.hosts_allow, access.hosts_deny
    if not asks:
        return
    if isinstance(allow, Missing) or isinstance(deny, Missing):
        said = "Dovecot asks hosts.allow and hosts.deny, not read"
        yield Gate.of_service(family, EVERYTHING, said, surely=False)
        return
    for found in refused(family, protocol, allow or (), deny or ()):
        said = f"Dovecot (login_access_sockets) asks {found.rule}"
        if isinstance(asks, Missing):
            said = f"{said}, perhaps: {asks.reason}"
        surely = found.surely and not isinstance(asks, Missing)
        yield Gate.of_service(family, found.sources, said, surely=surely)


def no_login(family: int, protocol: str, dovecot: Dovecot | Missing | None) -> Iterator[Gate]:
    """Users log in only from the networks that their database of passwords gives: allow_nets."""
    if not isinstance(dovecot, Dovecot):
        return
    if isinstance(dovecot.passdbs, Missing):
        said = f"from where Dovecot's users may log in: {dovecot.passdbs.reason}"
        yield Gate.of_service(family, EVERYTHING, said, surely=False)
        return
    asked = [each for each in dovecot.passdbs if each.protocol in (None, protocol)]
    bound = [(each, *_from(family, each)) for each in asked]
    if all(surely == EVERYTHING for _, surely, _ in bound):  # as nearly everywhere
        return
    some = union(possibly for _, _, possibly in bound)
    every = ~union(~surely for _, surely, _ in bound)
    names = _said(each for each, surely, _ in bound if surely != EVERYTHING)
    yield Gate.of_service(family, ~some, names, surely=True)
    yield Gate.of_service(family, some - every, f"{names}: it hangs on the user", surely=False)


def _from(family: int, passdb: Passdb) -> tuple[IntervalSet, IntervalSet]:
    """From where all its users surely may log in, and from where some of them may.

    auth asks each allow_nets that a user has: what every user has narrows the user's own.
    """
    every, usual = (_nets(family, nets) for nets in (passdb.every_nets, passdb.usual_nets))
    if passdb.own_nets is not False or usual is None:
        return NOTHING, EVERYTHING if every is None else every
    return (NOTHING, usual) if every is None else (every & usual, every & usual)


def _nets(family: int, nets: str | None) -> IntervalSet | None:
    """None: not understood. `local` is for who comes without a network."""
    words = (nets or "").replace(",", " ").split()
    return EVERYTHING if nets is None else networks(family, filter("local".__ne__, words))


def _said(bound: Iterable[Passdb]) -> str:
    return "Dovecot's allow_nets of " + " and ".join(
        f"passdb {each.driver}"
        + "".join(f" ({nets[:_MOST_SHOWN]})" for nets in (each.every_nets, each.usual_nets) if nets)
        + (f" ({each.own_nets.reason})" if isinstance(each.own_nets, Missing) else "")
        for each in bound
    )
