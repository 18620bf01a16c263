"""The hellos, sslyze and testssl.sh on servers in many configurations, held to the configuration.

    python -m benchmarks.wire_agreement [--root DIR ...] [--peers PYTHON] [--testssl SCRIPT]
                                        [HOST:PORT ...]

Each DIR is a file system with an OpenSSL of its own, older or newer than the machine's; PYTHON an
interpreter with sslyze, and with tlslite-ng: they serve SSLv2 and SSLv3, too. testssl.sh wants
`host` or `dig`. With HOST:PORT, as of the lab's hosts, those ports are held to the peers instead,
since nobody has written down what they should accept. Prints what disagrees and why; exit status 1
where the hellos do not find what is configured, or a peer finds what they do not, or a disagreement
is not explained.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.probe.looking import Port, accepts_sslv2, negotiated, versions_alone
from tests.probe.matrix import (
    GROUP_NAMES,
    Configuration,
    configurations,
    expected_suites,
    make_keys,
    post_quantum,
    serving,
)

from benchmarks.old_servers import OLD_SERVERS, serving_old
from benchmarks.wire_peers import Answers, Peer, Place, sslyze, testssl
from benchmarks.wire_speed import starttls
from mailwitness.evidence.probe import VERSIONS, Protocol, TlsMode, VersionName
from mailwitness.probe.answer import Answer, accepted_among
from mailwitness.probe.hello import everything, with_suites
from mailwitness.probe.limits import DEFAULT_LIMITS
from mailwitness.probe.questions import failed_later

# Suites of SSLv2 are not enumerated by the hellos: one word stands for whichever there are.
_SOME = frozenset({"some"})
Suites = Mapping[VersionName, frozenset[str]]


@dataclass(frozen=True)
class Server:
    """One configuration: how it is served, and what is to be found."""

    name: str
    serve: Callable[[], AbstractContextManager[int]]
    suites: Suites | None  # None: it is not known
    groups: frozenset[str] = frozenset()  # none: whatever the library has
    host: str = "127.0.0.1"
    starttls: Protocol | None = None


@dataclass(frozen=True)
class Found:
    """By the hellos: the suites, and where finite-field ones beside them end the handshake."""

    suites: Suites
    ending: frozenset[VersionName]


def given(endpoint: str) -> Server:
    host, _, port = endpoint.rpartition(":")
    number = int(port)
    up = contextlib.nullcontext(number)
    return Server(endpoint, lambda: up, None, host=host, starttls=starttls(number))


def old(python: str, folder: Path) -> Iterator[Server]:
    for one in OLD_SERVERS:
        suites = {version: one.expected(version) for version in VERSIONS}
        suites["SSLv2"] = _SOME if suites["SSLv2"] else frozenset()
        yield Server(str(one), partial(serving_old, one, python, folder), suites)


def of_openssl(root: "Path | None", folder: Path) -> Iterator[Server]:
    chosen = list(configurations(root))
    with_hybrids = Configuration("TLSv1.3", "TLSv1.3", ("ec",), "ALL", root=root)
    if root is not None and has_hybrids(with_hybrids, folder):
        chosen += post_quantum(root)
    for one in chosen:
        yield Server(
            str(one),
            partial(serving, one, folder),
            {version: expected_suites(one, version) for version in VERSIONS},
            frozenset(GROUP_NAMES.get(group, group) for group in one.groups),
        )


def has_hybrids(configuration: Configuration, folder: Path) -> bool:
    with serving(configuration, folder) as port:
        _, found, _ = negotiated(Port(port))
    return "X25519MLKEM768" in found.groups[0].names


def compare(server: Server, peers: Mapping[str, Peer]) -> Counter[str]:
    """Look at one server by all means; prints what disagrees."""
    with server.serve() as port:
        tls: TlsMode = "starttls" if server.starttls else "implicit"
        here = Port(port, server.starttls or "imap", tls, server.host, DEFAULT_LIMITS)
        answers, found, questions = negotiated(here)
        sslv2 = asyncio.run(accepts_sslv2(here))
        alone = asyncio.run(versions_alone(here))
        ending = asyncio.run(ends_at_finite_field(here, answers))
        there = Place(port, server.host, server.starttls)
        said = {name: ask(there) for name, ask in peers.items()}
    mine = {one.version: frozenset(one.names) for one in found.suites}
    mine["SSLv2"] = _SOME if sslv2 else frozenset()
    expected = server.suites or mine
    tally: Counter[str] = Counter(servers=1, suites=sum(map(len, expected.values())))
    tally["questions"] += questions + 1
    tally["unknown"] += sum(not isinstance(one.rest, str) for one in (*found.suites, *found.groups))
    for version in VERSIONS:
        if wrong := mine.get(version, frozenset()) ^ expected.get(version, frozenset()):
            tally["wrong"] += 1
            print(f"WRONG {server.name}, {version}: {sorted(wrong)}")
        # Where none but SSLv2 is answered, a closing proves nothing of the others.
        if any(expected.get(newer) for newer in VERSIONS[1:]) and alone[version] != bool(
            expected.get(version)
        ):
            tally["wrong"] += 1
            print(f"WRONG {server.name}, {version}: {alone[version]} in a look at versions alone")
    for groups in found.groups if server.groups else ():
        if set(groups.names) != server.groups:
            tally["wrong"] += 1
            print(f"WRONG {server.name}, {groups.version}: groups {groups.names}")
    for name, theirs in said.items():
        tally += hold_against(server, Found(mine, ending), name, theirs)
    return tally


async def ends_at_finite_field(
    port: Port, answers: Mapping[VersionName, Answer]
) -> frozenset[VersionName]:
    """Where such suites beside one that is accepted make the server end the handshake."""
    ending = set()
    for version, chosen in accepted_among(answers).items():
        beside = with_suites(everything(version), "TLS_DHE_").suites
        if beside and chosen.suite not in beside:
            offer = everything(version)._replace(suites=(*beside, chosen.suite))
            questions = port.questions()
            if failed_later(await questions.answer(questions.hello(offer))):
                ending.add(version)
    return frozenset(ending)


def hold_against(server: Server, ours: Found, name: str, said: Answers) -> Counter[str]:
    """What the peer `name` says; a disagreement is counted under its explanation."""
    found: list[tuple[str, VersionName, frozenset[str]]] = []
    none: frozenset[str] = frozenset()
    if said is None:
        why = "no answer: it first shakes hands with suites of its choice, which find none"
        found += [(why, version, suites) for version, suites in ours.suites.items()]
        if not any(ours.suites.values()):
            return Counter({f"{name}: agrees that nothing is accepted": 1})
    for version, theirs in (said or {}).items():
        mine = ours.suites.get(version, none)
        if theirs is None:
            found.append(("no answer: it breaks where the server turns it away", version, mine))
            continue
        accepted = theirs.accepted if version != "SSLv2" else _SOME if theirs.accepted else none
        missed = mine - accepted
        explained = {
            "it does not know": missed - theirs.known - _SOME,
            "its TLS library does not offer": missed & theirs.not_offered,
            "its TLS library lacks the only groups for": missed & theirs.without_x25519
            if server.groups and server.groups <= {"x25519", "x448"}
            else none,
            "asks together with finite-field suites, which end the handshake, for": missed
            if version in ours.ending
            else none,
        }
        found += [(why, version, suites) for why, suites in explained.items()]
        found.append(("UNEXPLAINED: it alone finds", version, accepted - mine))
        left = missed.difference(*explained.values())
        found.append(("UNEXPLAINED: it misses", version, left))
    tally: Counter[str] = Counter()
    for why, version, suites in found:
        if suites:
            print(f"{name} {why} {sorted(suites)}: {server.name}, {version}")
            tally[f"{name}: {why}"] += len(suites)
    tally[f"{name}: agrees in every suite"] += not tally
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--testssl", metavar="SCRIPT", type=Path)
    parser.add_argument("endpoints", nargs="*", metavar="HOST:PORT")
    arguments = parser.parse_args()
    peers: dict[str, Peer] = {}
    if arguments.peers:
        peers["sslyze"] = sslyze(arguments.peers)
    if arguments.testssl:
        peers["testssl.sh"] = testssl(arguments.testssl)
    tally: Counter[str] = Counter()
    for endpoint in arguments.endpoints:
        tally += compare(given(endpoint), peers)
        sys.stdout.flush()
    for root in () if arguments.endpoints else (None, *arguments.root):
        with tempfile.TemporaryDirectory(dir=root and root / "tmp") as scratch:
            folder = Path(scratch)
            folder.chmod(0o755)
            make_keys(folder)
            servers = list(of_openssl(root, folder))
            if root is None and arguments.peers:
                servers = [*old(arguments.peers, folder), *servers]
            for server in servers:
                tally += compare(server, peers)
                sys.stdout.flush()
    for what, count in tally.items():
        print(f"{count:6} {what}")
    unexplained = any("UNEXPLAINED" in what for what in tally)
    return int(unexplained or bool(tally["wrong"] or tally["unknown"]))


if __name__ == "__main__":
    sys.exit(main())
