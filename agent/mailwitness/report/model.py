"""A judged run as the value of report.json, which every other format is rendered from."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from mailwitness import __version__
from mailwitness.correlate.allowlist import ListAnswer
from mailwitness.correlate.certificate import parse
from mailwitness.correlate.endpoint import CertificateOnDisk, Configured, Endpoint, Outside, Running
from mailwitness.correlate.filtered import Filtered, all_admitted, shares
from mailwitness.evidence.host import ListeningSocket
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Login, Observation, Session
from mailwitness.evidence.run import PlannedHost
from mailwitness.firewall.verdict import Answer, Reachability, Share, first_networks
from mailwitness.policy.audit import Audit, Judged
from mailwitness.policy.engine import Finding, worst_first
from mailwitness.policy.outcome import Outcome, Severity
from mailwitness.policy.waiver import Waiver
from mailwitness.report.spool import Entry, Spool
from mailwitness.report.spread import spread
from mailwitness.report.worklist import roots
from mailwitness.resolver.offer import Offer

SCHEMA = "mailwitness/report/1"

Json = dict[str, Any]

# Of one share; a country list is in the evidence, and `mailwitness reach` asks for one source.
MOST_NETWORKS = 64


_Done = tuple[Entry, set[Waiver]]  # a host, and the waivers that cover failures of it
# Of the report without its hosts, as far as it is known before them, and of a host of it.
Finish = Callable[[Json, Json], None]


def build(
    audit: Audit,
    generated_at: str,
    hosts: Spool | None = None,
    watched: Callable[[Iterator[_Done]], Iterator[_Done]] = iter,
    finish: Finish | None = None,
) -> Json:
    """The whole of report.json.

    Args:
        audit: the run, of which few hosts at a time are judged.
        generated_at: UTC, ISO 8601 with Z.
        hosts: where the hosts go, empty; a list where it is not given.
        watched: what the hosts pass through as they are judged, for whoever waits.
        finish: called with each host that is final, in whatever process has it at hand.

    Raises:
        SpreadError: a process that judged hosts was ended from outside.
    """
    if hosts is None:
        with Spool() as spool:
            return {**build(audit, generated_at, spool), "hosts": list(spool)}
    plans = audit.run.hosts
    head = {
        "schema": SCHEMA,
        "generated_at": generated_at,
        "collected_at": audit.run.started_at,
        "note": audit.run.note,
        "tool": {"name": "mailwitness", "version": __version__},
    }
    used: set[Waiver] = set()
    for host, borne_by in watched(spread(partial(_judged, audit, head, hosts, finish), plans)):
        hosts.append(host)
        used |= borne_by
    states = audit.states(used)
    named = [number for number, plan in enumerate(plans) if audit.are_named(plan)]
    for number in named:
        more = [_finding(each) for each in audit.of_waivers(plans[number], states)]
        found = hosts[number]
        found["findings"] += more
        hosts[number] = hosts.write(_in_order(found))
    if finish:
        for _ in spread(lambda number: finish(head, hosts[number]), named):
            pass
    kept = hosts.brief
    return {
        **head,
        "policies": list(dict.fromkeys(name for host in kept for name in host["policies"])),
        "waivers": [
            {**_waiver(waiver), "check": waiver.check, "hosts": list(waiver.hosts)}
            | {"groups": list(waiver.groups), "endpoint": waiver.endpoint, "state": state}
            for waiver, state in states
        ],
        "baseline": audit.borne.baseline and audit.borne.baseline.collected_at,
        "summary": summary(kept),
        "hosts": hosts,
    }


def _judged(
    audit: Audit, head: Json, hosts: Spool, finish: Finish | None, plan: PlannedHost
) -> _Done:
    judged = audit.judge(plan)
    host = _host(judged)
    final = not audit.are_named(plan)  # else what there is to say is known when all hosts are
    if final:
        host["findings"] += [_finding(each) for each in audit.of_waivers(plan, ())]
    done = hosts.write(_in_order(host))
    if final and finish:
        finish(head, host)
    return done, {each.waiver for each in judged.findings if each.waiver}


# A call of the enumeration is slow, and so is the value of a member.
_VALUES: dict[str, str] = {each: each.value for each in (*Outcome, *Severity)}
_OUTCOMES: dict[str, Outcome] = {each.value: each for each in Outcome}
_SEVERITIES: dict[str, Severity] = {each.value: each for each in Severity}


def _worst_first(finding: Json) -> tuple[object, ...]:
    port = int(finding["endpoint"].rpartition(":")[2]) if finding["endpoint"] else 0
    outcome, severity = _OUTCOMES[finding["outcome"]], _SEVERITIES[finding["severity"]]
    return worst_first(outcome, severity, port, finding["check"])


def _in_order(host: Json) -> Json:
    host["findings"].sort(key=_worst_first)
    return host


def summary(hosts: Sequence[Json]) -> Json:
    """The counts over hosts as report.json has them."""
    findings = [finding for host in hosts for finding in host["findings"]]
    own = (finding for host in hosts for finding in roots(host))
    failed = (finding["severity"] for finding in own if finding["outcome"] == Outcome.FAIL)
    return {
        "hosts": len(hosts),
        "by_status": _counts(host["status"] for host in hosts),
        "by_outcome": _counts(finding["outcome"] for finding in findings),
        "by_severity": {level.value: 0 for level in Severity} | _counts(failed),
    }


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _host(judged: Judged) -> Json:
    host = judged.host
    return {
        "name": host.plan.name,
        "address": host.plan.address,
        "names": list(host.plan.names),
        "contacts": list(host.plan.contacts),
        "policies": list(judged.policies),
        "status": host.status,
        "reason": host.reason,
        "software": [
            {
                "product": item.product,
                "version": _or_missing(item.version),
                "package": _or_missing(item.package),
            }
            for item in host.software
        ],
        "endpoints": [_endpoint(endpoint) for endpoint in host.endpoints],
        "eligibility": [
            {"policy": entry.policy, "answer": entry.answer.value, "because": list(entry.because)}
            for entry in judged.eligibility
        ],
        "allowlists": [_allowlist(answer) for answer in host.allowlists],
        "findings": [_finding(finding) for finding in judged.findings],
    }


def _waiver(waiver: Waiver) -> Json:
    return {
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires.isoformat(),
        "source": waiver.source,
    }


def _finding(finding: Finding) -> Json:
    check, verdict = finding.check, finding.verdict
    return {
        "check": check.id,
        "outcome": _VALUES[finding.outcome],
        "waiver": finding.waiver and _waiver(finding.waiver),
        "causes": [{"check": check, "endpoint": where} for check, where in finding.causes],
        "severity": _VALUES[finding.severity],
        "endpoint": finding.endpoint.id if finding.endpoint else None,
        "title": check.title,
        "detail": verdict.detail,
        "rationale": check.rationale,
        "policies": list(finding.policies),
        "witnesses": [
            {"view": witness.view, "source": witness.source, "says": witness.says}
            for witness in verdict.witnesses
        ],
        "remedies": [
            {"product": remedy.product, "versions": remedy.versions, "text": remedy.text}
            for remedy in finding.remedies
        ],
        "references": list(check.references),
    }


def _endpoint(endpoint: Endpoint) -> Json:
    return {
        "id": endpoint.id,
        "protocol": endpoint.protocol,
        "port": endpoint.port,
        "tls": endpoint.tls,
        "in_service": endpoint.in_service,
        "configured": _configured(endpoint.configured),
        "running": _running(endpoint.running),
        "filtered": _filtered(endpoint.filtered),
        "outside": _outside(endpoint.outside),
    }


def _configured(setting: Configured | Missing | None) -> Json:
    if setting is None:
        return {"listener": False}
    if isinstance(setting, Missing):
        return _missing(setting)
    return {
        "listener": True,
        "product": setting.product,
        "source": setting.source,
        "tls": _or_missing(setting.tls),
        "certificates": [_on_disk(file) for file in setting.certificates],
        "settings": setting.settings,
        "origins": setting.origins,
        "offer": _offer(setting.offer),
        "scopes": [
            {
                "where": scope.where,
                "offer": _offer(scope.offer),
                "certificates": [_on_disk(file) for file in scope.certificates],
            }
            for scope in setting.scopes
        ],
        "server_names": _server_names(setting),
    }


def _server_names(setting: Configured) -> Json:
    names = setting.server_names
    if isinstance(names, Missing):
        return _missing(names)
    return {
        name: _missing(files) if isinstance(files, Missing) else [_on_disk(file) for file in files]
        for name, files in names.items()
    }


def _offer(offer: Offer) -> Json:
    versions = offer.versions
    suites = offer.suites
    return {
        "versions": _missing(versions)
        if isinstance(versions, Missing)
        else [
            {
                "version": each.version,
                "offered": _or_missing(each.offered),
                "layer": each.layer,
                "decided_by": each.decided_by,
            }
            for each in versions
        ],
        "suites": _missing(suites)
        if isinstance(suites, Missing)
        else {version: list(names) for version, names in suites.items()},
        "mechanisms_before_tls": _mechanisms(offer.mechanisms_before_tls),
        "mechanisms_inside_tls": _mechanisms(offer.mechanisms_inside_tls),
    }


def _mechanisms(names: tuple[str, ...] | Missing | None) -> Any:
    return list(names) if isinstance(names, tuple) else _or_missing(names)


def _on_disk(file: CertificateOnDisk) -> Json:
    leaf = file.leaf
    return {
        "path": file.path,
        "modified_at": _or_missing(file.modified_at),
        "certificate": _missing(leaf) if isinstance(leaf, Missing) else leaf.summary,
    }


def _running(running: Running | Missing) -> Json:
    if isinstance(running, Missing):
        return _missing(running)
    seen = running.observation
    return {
        "sockets": [_socket(socket) for socket in running.sockets],
        "beyond": _missing(running.beyond)
        if isinstance(running.beyond, Missing)
        else [{**_socket(led.socket), "address": led.address} for led in running.beyond],
        "handshake": _missing(seen)
        if isinstance(seen, Missing)
        else _observation(seen, _session(seen.session)),
    }


def _socket(socket: ListeningSocket) -> Json:
    process = socket.process
    return {
        "address": socket.address,
        "port": socket.port,
        "process": _missing(process)
        if isinstance(process, Missing)
        else {
            "pid": process.pid,
            "name": process.name,
            "executable": _or_missing(process.executable),
            "started_at": _or_missing(process.started_at),
            "own_root": _or_missing(process.own_root),
            "cgroup": _or_missing(process.cgroup),
            "forwards_to": process.forwards_to,
        },
    }


def _filtered(filtered: Filtered | Missing) -> Json:
    if isinstance(filtered, Missing):
        return _missing(filtered)
    return {
        "ways": [
            {
                "address": way.address,
                "interface": way.interface,
                "admits": _admits(way),
                "shares": [_share(way, share) for share in shares(way)],
            }
            for way in filtered.ways
        ]
    }


def _admits(way: Reachability) -> str:
    found = tuple(shares(way))
    if all_admitted(found):
        return "everyone"
    answers = {share.answer for share in found}
    if Answer.ADMITTED in answers:
        return "some"
    return "unknown" if Answer.UNDECIDED in answers else "nobody"


def _share(way: Reachability, share: Share) -> Json:
    listed, more = first_networks(way.family, share.sources, MOST_NETWORKS)
    return {
        "answer": share.answer.value,
        "networks": list(listed),
        "more": more,
        "reason": share.reason,
        "decided_by": str(share.decided_by),
    }


def _allowlist(answer: ListAnswer) -> Json:
    return {
        "name": answer.allowlist.name,
        "port": answer.port,
        "exclusive": answer.allowlist.exclusive,
        "cidrs": list(answer.allowlist.cidrs),
        "source": answer.allowlist.source,
        "retrieved_at": answer.allowlist.retrieved_at,
        "admitted": answer.admitted,
        "missing": list(answer.missing),
        "unknown": list(answer.unknown),
        "others": answer.others,
        "decided_by": list(answer.decided_by),
    }


def _outside(sightings: Iterable[Outside]) -> list[Json]:
    """Vantages that were told the same share what was said."""
    found = []
    sessions: dict[int, Json] = {}
    for sighting in sightings:
        seen = sighting.observation
        if isinstance(seen, Missing):
            found.append({"vantage": sighting.vantage, **_missing(seen)})
            continue
        told = id(seen.session)
        sessions[told] = sessions.get(told) or _session(seen.session)
        found.append({"vantage": sighting.vantage, **_observation(seen, sessions[told])})
    return found


def _observation(seen: Observation, session: Json) -> Json:
    return {
        "address": seen.address,
        "observed_at": seen.observed_at,
        "reach": seen.reach.state,
        "detail": seen.reach.detail,
        "milliseconds": seen.reach.milliseconds,
        "source_address": _or_missing(seen.reach.source_address),
        "turned_away": seen.turned_away,
        "login": _login(seen.login),
        "session": session,
    }


def _login(login: Login | Missing | None) -> Any:
    if not isinstance(login, Login):
        return login and _missing(login)
    return {
        "server_name": login.server_name,
        "trusted_by": login.trusted_by,
        "steps": [
            {"command": step.command, "accepted": step.accepted, "answer": step.answer}
            for step in login.steps
        ],
    }


def _session(session: Session | Missing) -> Json:
    if isinstance(session, Missing):
        return _missing(session)
    before, upgrade = session.before_tls, session.starttls
    return {
        "greeting": _or_missing(session.greeting),
        "before_tls": None if before is None else _lines(before),
        "starttls": upgrade and {"state": upgrade.state, "detail": upgrade.detail},
        "inside_tls": _lines(session.inside_tls),
        "versions": [
            {
                "version": answer.version,
                "accepted": _or_missing(answer.accepted),
                "proof": answer.proof,
            }
            for answer in session.versions
        ],
        "certificates": [
            {
                "server_name": chain.server_name,
                "leaf": _certificate(chain.leaf),
                "intermediates": _missing(chain.intermediates)
                if isinstance(chain.intermediates, Missing)
                else [_certificate(pem) for pem in chain.intermediates],
            }
            for chain in session.chains
        ],
    }


def _lines(said: Any) -> Any:
    return _missing(said) if isinstance(said, Missing) else list(said.lines)


def _certificate(pem: str | Missing) -> Json:
    certificate = pem if isinstance(pem, Missing) else parse(pem)
    return _missing(certificate) if isinstance(certificate, Missing) else certificate.summary


def _or_missing(value: Any) -> Any:
    return _missing(value) if isinstance(value, Missing) else value


def _missing(value: Missing) -> Json:
    return {"missing": value.reason}
