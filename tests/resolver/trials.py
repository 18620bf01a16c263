"""One configuration after the other: what the resolver foretells, and what a client gets."""

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mailwitness import zipapp
from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.correlate.configured import configured
from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.codec import loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, ProbeEvidence, Session
from mailwitness.resolver.offer import Offer
from tests.lab import suites
from tests.lab.certificates import Authority
from tests.resolver.cell import ADDRESSES, CLIENT, Cell, cell
from tests.resolver.configurations import NAME, PORTS, Trial, trial

# Daemons keep what they are given to write to.
START = """\
exec >/start.log 2>&1
mkdir -p /run/dovecot /run/lock
install -d -m 700 -o postfix /var/spool/postfix/private
dovecot
for folder in /etc/postfix $(postconf -h multi_instance_directories); do
  install -d -o postfix $(postconf -c $folder -h data_directory)
  install -d $(postconf -c $folder -h queue_directory)
  for table in $(postconf -c $folder -h tls_server_sni_maps); do
    case $table in hash:*) postmap -c $folder -F "$table" ;; esac
  done
  postfix -c $folder check
  $(postconf -h daemon_directory)/master -c $folder -w
done
"""


@dataclass
class Tally:
    """What came of the trials."""

    trials: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # "right", "wrong", "unknown", "unseen"
    reasons: Counter[str] = field(default_factory=Counter)  # of what is unknown or was not seen
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.trials} configurations, {sum(self.answers.values())} answers compared"
        total = max(1, self.answers.total())
        for kind, count in sorted(self.answers.items()):
            yield f"{kind}: {count} ({count / total:.2%})"
        for reason, count in self.reasons.most_common(12):
            yield f"  {count} times {reason[:200]}"
        yield from self.wrong

    def compare(self, what: str, foretold: object, seen: object) -> None:
        """One thing that was foretold, against what came; either may be `Missing`."""
        if isinstance(foretold, Missing):
            self.answers["unknown"] += 1
            self.reasons[f"unknown: {foretold.reason}"] += 1
        elif isinstance(seen, Missing):
            self.answers["unseen"] += 1
            self.reasons[f"not seen: {seen.reason}"] += 1
        elif foretold == seen:
            self.answers["right"] += 1
        else:
            self.answers["wrong"] += 1
            if isinstance(foretold, list) and isinstance(seen, list):
                foretold, seen = _less(foretold, seen), _less(seen, foretold)
            self.wrong.append(f"WRONG {what}: foretold {foretold}, served {seen}")


def _less(items: list[str], others: list[str]) -> list[str]:
    return [item for item in items if item not in others]


def run(suite: str, seed: str, count: int) -> Tally:
    """That many configurations of one release, by turns."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mailwitness-resolver-") as scratch:
        folder = Path(scratch)
        agent = folder / "agent.pyz"
        agent.write_bytes(zipapp.build().content)
        authority = Authority.at(folder / "ca")
        for number in range(count):
            its = trial(suite, f"{seed}.{number}", authority, folder / "certificates")
            compare(its, folder / "cell", agent, tally)
            shutil.rmtree(folder / "cell")
            tally.trials += 1
    return tally


def compare(its: Trial, folder: Path, agent: Path, tally: Tally) -> None:
    """Start the daemons on it, ask the agent, and look from the client's address."""
    label = f"{its.suite} {its.number}"
    with cell(
        suites.base(its.suite), folder, {**its.files, "/agent.pyz": agent.read_bytes()}
    ) as host:
        host.run("/bin/sh", "-c", START)
        compare_all(label, inspect(host), looks(host, agent), tally)


def compare_all(
    label: str, inside: HostEvidence, outside: Iterable[ProbeEvidence], tally: Tally
) -> None:
    """What was foretold of each port, and what the client was given."""
    for evidence in outside:
        assert not isinstance(evidence.observations, Missing)
        for look in evidence.observations:
            setting = configured(inside, look.port)
            if look.reach.state != "open" or setting is None:
                # A port may be one address's alone, or its daemon refuse the configuration.
                continue
            what = f"{label} {evidence.target}:{look.port}"
            if isinstance(setting, Missing):
                tally.compare(what, setting, None)
            else:
                _compare_endpoint(what, setting, evidence.target, look, tally)


def inspect(host: Cell, ports: Iterable[int] = PORTS) -> HostEvidence:
    """What the agent says of it."""
    words = [word for port in ports for word in ("--port", str(port))]
    argv = ("python3", "/agent.pyz", "inspect", "--host", "cell", "--address", ADDRESSES[0])
    return loads(host.run(*argv, *words).stdout, HostEvidence)


def looks(host: Cell, agent: Path) -> Iterator[ProbeEvidence]:
    """From the client's address at each of the host's."""
    ports = [word for port in (*PORTS, 2526) for word in ("--port", str(port))]
    argv = (sys.executable, str(agent), "probe", *ADDRESSES, "--name", NAME, *ports)
    for line in host.from_client(*argv).stdout.splitlines():
        yield loads(line, ProbeEvidence)


def _compare_endpoint(
    what: str, setting: Configured, address: str, look: Observation, tally: Tally
) -> None:
    offer = setting.offer_to(address, CLIENT)
    if isinstance(look.session, Missing):
        tally.compare(what, offer.tls, look.session)
        return
    session = look.session
    tally.compare(f"{what} tls", offer.tls, _tls_use(session))
    mechanisms = (
        ("before TLS", offer.mechanisms_before_tls, session.before_tls),
        ("inside TLS", offer.mechanisms_inside_tls, session.inside_tls),
    )
    for where, foretold, capabilities in mechanisms:
        if capabilities is not None and foretold is not None:
            seen = capabilities if isinstance(capabilities, Missing) else capabilities.mechanisms
            tally.compare(f"{what} mechanisms {where}", foretold, seen)
    if offer.tls == "none":
        return
    _compare_tls(what, offer, session, tally)
    _compare_certificate(what, setting, address, session, tally)


def _tls_use(session: Session) -> str | Missing:
    if session.starttls is None:
        return "implicit"
    if session.starttls.state == "unknown":
        return Missing(session.starttls.detail)
    return "none" if session.starttls.state == "not-offered" else "starttls"


def _compare_tls(what: str, offer: Offer, session: Session, tally: Tally) -> None:
    if isinstance(offer.versions, Missing):
        tally.compare(f"{what} versions", offer.versions, None)
        return
    for version in offer.versions:
        accepted = session.accepts(version.version)
        label = f"{what} {version.version} ({version.decided_by})"
        tally.compare(label, version.offered, accepted)
    if isinstance(session.negotiation, Missing) or isinstance(offer.suites, Missing):
        foretold = offer.suites if isinstance(offer.suites, Missing) else ()
        tally.compare(f"{what} suites", foretold, session.negotiation)
        return
    for found in session.negotiation.suites:
        names = offer.suites.get(found.version, ())
        seen = found.rest if isinstance(found.rest, Missing) else sorted(found.names)
        if _chooses_what_it_cannot_sign(offer, found.version) and seen != sorted(names):
            seen = Missing("the daemon chooses ECDSA, cannot sign with SHA-1, and closes")
        tally.compare(f"{what} {found.version} suites", sorted(names), seen)


def _chooses_what_it_cannot_sign(offer: Offer, version: str) -> bool:
    """OpenSSL 1.1.1 at level 2 does with ECDSA up to TLS 1.1: a look ends there, and too early."""
    if isinstance(offer.suites, Missing) or version not in ("TLSv1", "TLSv1.1"):
        return False
    newer, its = ("".join(offer.suites.get(name, ())) for name in ("TLSv1.2", version))
    return "_ECDSA_" in newer and "_ECDSA_" not in its


def _compare_certificate(
    what: str, setting: Configured, address: str, session: Session, tally: Tally
) -> None:
    for chain in session.chains:
        label = f"{what} certificate for {chain.server_name or 'no name'}"
        files = setting.certificates_for(address, CLIENT, chain.server_name)
        leaf = chain.leaf if isinstance(chain.leaf, Missing) else parse(chain.leaf)
        if isinstance(files, Missing) or isinstance(leaf, Missing):
            tally.compare(label, files, leaf)
            continue
        on_disk = [file.leaf.fingerprint for file in files if isinstance(file.leaf, Certificate)]
        # Which of several comes hangs on the keys that the client takes.
        served = leaf.fingerprint
        tally.compare(label, served if served in on_disk else on_disk, served)
