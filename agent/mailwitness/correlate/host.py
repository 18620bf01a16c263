"""One host of a run: its row of the report, whatever became of it, and its endpoints."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from mailwitness.correlate import configured
from mailwitness.correlate.allowlist import ListAnswer, answers
from mailwitness.correlate.endpoint import Configured, Endpoint, Outside, Running
from mailwitness.correlate.filtered import Filtered, Filters, Gate, filters
from mailwitness.correlate.gates import gates
from mailwitness.correlate.redirects import Translation, beyond, redirected, translations
from mailwitness.evidence.host import HostEvidence, Software
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, ProbeEvidence, Protocol, Session
from mailwitness.evidence.run import Failure, PlannedHost
from mailwitness.evidence.services import SERVICES, Service
from mailwitness.resolver.offer import TlsUse

Status = Literal["audited", "partial", "outside-only", "unreachable", "failed"]


@dataclass(frozen=True)
class Witnesses:
    """All documents about one host, each in its place; a failure stands where evidence would."""

    inside: HostEvidence | Failure | Missing
    outside: tuple[tuple[str, ProbeEvidence | Failure | Missing], ...]  # by vantage


@dataclass(frozen=True)
class Host:
    """A host as the checks see it."""

    plan: PlannedHost
    status: Status
    reason: str | None  # why the status is not `audited`
    inside: HostEvidence | Missing
    failure: Failure | None  # what kept the agent from answering
    probes: tuple[tuple[str, ProbeEvidence | Missing], ...]
    gaps: tuple[str, ...]  # what could not be read on the host, a sentence each
    endpoints: tuple[Endpoint, ...]
    filters: Filters | Missing
    allowlists: tuple[ListAnswer, ...]  # those of the plan, against each port that they name
    run_began: str  # UTC, ISO 8601 with Z

    @property
    def software(self) -> tuple[Software, ...]:
        """What is installed, as far as is known."""
        if isinstance(self.inside, Missing) or isinstance(self.inside.software, Missing):
            return ()
        return self.inside.software

    def allowlists_of(self, endpoint: Endpoint) -> tuple[ListAnswer, ...]:
        """Those of one port."""
        return tuple(answer for answer in self.allowlists if answer.port == endpoint.port)


def correlate(plan: PlannedHost, witnesses: Witnesses, run_began: str) -> Host:
    """The host with every port that the plan, its configuration or its sockets name."""
    inside = _evidence(witnesses.inside)
    probes = tuple(
        (vantage, seen if isinstance(seen, ProbeEvidence) else _evidence_missing(seen))
        for vantage, seen in witnesses.outside
    )
    gaps = () if isinstance(inside, Missing) else tuple(_gaps(inside, plan))
    its_filters = inside if isinstance(inside, Missing) else _filters(inside, plan)
    endpoints = tuple(_endpoints(plan, inside, probes, its_filters))
    held = tuple(
        answer
        for endpoint in endpoints
        for answer in answers(plan.allowlists, endpoint.port, endpoint.filtered)
    )
    status, reason = _status(witnesses, gaps, endpoints)
    failure = witnesses.inside if isinstance(witnesses.inside, Failure) else None
    return Host(
        plan=plan,
        status=status,
        reason=reason,
        inside=inside,
        failure=failure,
        probes=probes,
        gaps=gaps,
        endpoints=endpoints,
        filters=its_filters,
        allowlists=held,
        run_began=run_began,
    )


def _evidence(inside: HostEvidence | Failure | Missing) -> HostEvidence | Missing:
    return inside if isinstance(inside, HostEvidence) else _evidence_missing(inside)


def _evidence_missing(absent: Failure | Missing) -> Missing:
    return Missing(absent.reason)


def _status(
    witnesses: Witnesses, gaps: tuple[str, ...], endpoints: Iterable[Endpoint]
) -> tuple[Status, str | None]:
    inside = witnesses.inside
    answered = any(
        seen.reach.state in ("open", "refused", "reset")
        for endpoint in endpoints
        for _, seen in endpoint.observations()
    )
    match inside:
        case HostEvidence():
            unseen = [
                f"not probed from {vantage}: {seen.reason}"
                for vantage, seen in witnesses.outside
                if not isinstance(seen, ProbeEvidence)
            ]
            reasons = [*gaps, *unseen]
            return ("partial", "; ".join(reasons)) if reasons else ("audited", None)
        case Failure() if inside.kind == "failed":
            return "failed", inside.reason
        case Failure():
            return ("outside-only" if answered else "unreachable"), inside.reason
        case Missing():
            return ("outside-only", inside.reason) if answered else _unanswered(witnesses)
        case _:
            assert_never(inside)


def _unanswered(witnesses: Witnesses) -> tuple[Status, str]:
    """Of a host that was looked at from outside alone, where no look was answered."""
    answers = (
        seen.observations if isinstance(seen, ProbeEvidence) else seen
        for _, seen in witnesses.outside
    )
    reasons = {answer.reason for answer in answers if isinstance(answer, (Failure, Missing))}
    return "unreachable", "; ".join(sorted(reasons)) or "no port answered from any vantage"


def _gaps(inside: HostEvidence, plan: PlannedHost) -> Iterable[str]:
    """A sentence for each thing of the evidence that could not be read."""
    for item in () if isinstance(inside.software, Missing) else inside.software:
        if isinstance(item.version, Missing):
            yield f"version of {item.product}: {item.version.reason}"
    instances = inside.postfix_instances
    for instance in () if isinstance(instances, Missing) else instances or ():
        if isinstance(instance.postfix, Missing):
            name = instance.name or "without a name"
            yield f"Postfix instance {name}, {instance.config_directory}: {instance.postfix.reason}"
    certificates = inside.certificates
    parts = {
        "installed software": inside.software,
        "Postfix's settings": inside.postfix,
        "instances of Postfix": instances,
        "Dovecot's settings": inside.dovecot,
        "listening sockets": inside.sockets,
        "network namespaces": inside.namespaces,
        "handshakes with the own listeners": inside.running,
        "nft rules": inside.packet_filter.nft,
        "iptables rules": inside.packet_filter.iptables,
        "ip6tables rules": inside.packet_filter.ip6tables,
        "legacy iptables rules": inside.packet_filter.iptables_legacy,
        "legacy ip6tables rules": inside.packet_filter.ip6tables_legacy,
        "ipset sets": inside.packet_filter.ipset,
        "interfaces": inside.network.interfaces,
        "routes": inside.network.routes,
        "fail2ban's bans": inside.access_control.fail2ban,
        **_libraries(inside),
        **(
            {"certificates": certificates}
            if isinstance(certificates, Missing)
            else {f"certificate {file.path}": file.certificates for file in certificates}
        ),
    }
    for what, part in parts.items():
        if isinstance(part, Missing):
            yield f"{what}: {part.reason}"
    if not isinstance(inside.sockets, Missing):
        unowned = {
            socket.process.reason
            for socket in inside.sockets
            if isinstance(socket.process, Missing) and socket.port in plan.ports
        }
        yield from (f"processes behind the mail ports: {reason}" for reason in sorted(unowned))


def _libraries(inside: HostEvidence) -> dict[str, object]:
    """Those of the daemons whose settings could be read: else that is the gap."""
    products = (
        ("Postfix's TLS library", inside.postfix, inside.postfix_library),
        ("Dovecot's TLS library", inside.dovecot, inside.dovecot_library),
    )
    return {
        what: library for what, product, library in products if not isinstance(product, Missing)
    }


def _endpoints(
    plan: PlannedHost,
    inside: HostEvidence | Missing,
    probes: Sequence[tuple[str, ProbeEvidence | Missing]],
    its_filters: Filters | Missing,
) -> Iterable[Endpoint]:
    listed = {port for each in plan.allowlists for port in each.ports}
    declared = {} if isinstance(inside, Missing) else configured.ports(inside)
    known_ports = {*plan.ports, *declared, *listed}
    translated = (
        ()
        if isinstance(its_filters, Missing)
        else tuple(translations(its_filters.firewall.ruleset))
    )
    leads = redirected(translated, known_ports)
    for port in sorted({*known_ports, *(port for port in leads if port)}):
        outside = tuple(_told_the_same(_sightings(probes, port)))
        setting = inside if isinstance(inside, Missing) else configured.configured(inside, port)
        running = _running(inside, translated, port)
        goal = leads.get(port)
        service = SERVICES.get(port) or SERVICES.get(goal or 0)
        declared_there = declared.get(port) or declared.get(goal or 0)
        protocol = service.protocol if service else _protocol(declared_there, outside)
        yield Endpoint(
            protocol=protocol,
            port=port,
            name=service.name if service else protocol,
            tls=_tls(service, setting, [seen.observation for seen in outside]),
            configured=setting,
            running=running,
            filtered=_filtered(
                its_filters, plan, port, _gates(inside, port, goal, setting), outside
            ),
            outside=outside,
            leads_to=goal,
        )


def _filters(inside: HostEvidence, plan: PlannedHost) -> Filters | Missing:
    try:
        return filters(inside, plan.address)
    except Exception as error:  # noqa: BLE001 - what a host prints must not cost others their rows
        return Missing(f"the packet filter: {type(error).__name__}: {error}")


def _gates(
    inside: HostEvidence | Missing,
    port: int,
    goal: int | None,
    setting: Configured | Missing | None,
) -> Iterator[Gate]:
    """Those of what answers: where the packets are led to another port, of what is set there."""
    if isinstance(inside, Missing):
        return
    behind = setting if goal is None else configured.configured(inside, goal)
    yield from gates(inside, goal or port, behind)


def _filtered(
    its_filters: Filters | Missing,
    plan: PlannedHost,
    port: int,
    its_gates: Iterable[Gate],
    outside: Iterable[Outside],
) -> Filtered | Missing:
    if isinstance(its_filters, Missing):
        return its_filters
    seen = (look.observation for look in outside)
    used = {look.address for look in seen if not isinstance(look, Missing)}
    try:
        return its_filters.of(port, its_gates, {plan.address, *used})
    except Exception as error:  # noqa: BLE001 - what a host prints must not cost others their rows
        return Missing(f"who can reach it: {type(error).__name__}: {error}")


def _protocol(declared: Protocol | None, outside: Iterable[Outside]) -> Protocol:
    if declared is not None:
        return declared
    for seen in outside:
        if not isinstance(seen.observation, Missing):
            return seen.observation.protocol
    return "smtp"


def _tls(
    service: Service | None,
    setting: Configured | Missing | None,
    seen: Iterable[Observation | Missing],
) -> TlsUse:
    """What a client outside can have; where none got through, what is configured or usual."""
    for observation in seen:
        if isinstance(observation, Missing) or isinstance(observation.session, Missing):
            continue
        if observation.tls == "implicit":
            return "implicit"
        upgrade = observation.session.starttls
        return "none" if upgrade and upgrade.state == "not-offered" else "starttls"
    if isinstance(setting, Configured) and not isinstance(setting.tls, Missing):
        return setting.tls
    return service.tls if service else "none"


def _sightings(
    probes: Iterable[tuple[str, ProbeEvidence | Missing]], port: int
) -> Iterable[Outside]:
    for vantage, evidence in probes:
        if isinstance(evidence, Missing):
            yield Outside(vantage, evidence)
        elif isinstance(evidence.observations, Missing):
            yield Outside(vantage, evidence.observations)
        else:
            seen = [look for look in evidence.observations if look.port == port]
            yield from (Outside(vantage, look) for look in seen)
            if not seen:
                yield Outside(vantage, Missing(f"port {port} was not probed"))


def _told_the_same(sightings: Iterable[Outside]) -> Iterator[Outside]:
    """Sessions that are equal as one: what is made of it, is made once."""
    known: list[Session] = []
    for sighting in sightings:
        seen = sighting.observation
        if isinstance(seen, Missing) or isinstance(seen.session, Missing):
            yield sighting
            continue
        session = next((each for each in known if each == seen.session), None)
        if session is None:
            known.append(seen.session)
            yield sighting
        else:
            yield Outside(sighting.vantage, seen._replace(session=session))


def _running(
    inside: HostEvidence | Missing, translated: Iterable[Translation], port: int
) -> Running | Missing:
    if isinstance(inside, Missing):
        return inside
    if isinstance(inside.sockets, Missing):
        return inside.sockets
    sockets = tuple(socket for socket in inside.sockets if socket.port == port)
    led = beyond(translated, inside.namespaces, port)
    return Running(sockets, led, _own_look(inside, port))


def _own_look(inside: HostEvidence, port: int) -> Observation | Missing:
    if isinstance(inside.running, Missing):
        return inside.running
    for look in inside.running:
        if look.port == port:
            return look
    return Missing("the host made no handshake with this port")
